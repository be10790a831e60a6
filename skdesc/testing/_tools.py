"""What the checks share."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ..structures import Structures, as_column


def require(condition, message):
    """Raise an AssertionError with a message, whatever Python's optimisation level."""
    if not condition:
        raise AssertionError(message)


def blocks(output):
    """Features of each structure as a 2-D array, from whatever a transformer returns."""
    if hasattr(output, "to_numpy"):
        output = output.to_numpy()
    if hasattr(output, "toarray"):
        output = output.toarray()
    return [np.atleast_2d(np.asarray(output[index])) for index in range(len(output))]


def require_same(first, second, message, *, rtol=0.0, atol=0.0):
    """Compare two outputs structure by structure."""
    first, second = blocks(first), blocks(second)
    require(len(first) == len(second), f"{message}: {len(first)} and {len(second)} structures")
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        same = one.shape == other.shape and np.allclose(one, other, rtol=rtol, atol=atol)
        require(same, f"{message}, at structure {index}")


def scale_of(output):
    """Largest feature; 1 if all are zero."""
    return max(float(np.abs(block).max(initial=0.0)) for block in blocks(output)) or 1.0


def is_pooled(output):
    """Whether a transformer returns one row per structure."""
    return hasattr(output, "toarray") or hasattr(output, "to_numpy") or (
        isinstance(output, np.ndarray) and output.ndim == 2
    )


def containers(frames):
    """Every container that scikit-learn's tools make of a list of structures."""
    column = as_column(frames)
    result = {
        "list": list(frames),
        "tuple": tuple(frames),
        "object array of shape (n,)": column[:, 0],
        "object array of shape (n, 1)": column,
        "Structures": Structures.from_atoms(frames),
    }
    try:
        import pandas as pd
    except ImportError:
        return result
    index = np.arange(len(frames)) * 3 + 100  # rows must not be looked up by their number
    result["Series"] = pd.Series(column[:, 0], index=index)
    result["DataFrame"] = pd.DataFrame({"atoms": column[:, 0]}, index=index)
    return result


def refused(call, kinds, message, *words):
    """Require an error of certain kinds whose message has at least one of the words."""
    try:
        call()
    except kinds as error:
        text = str(error).lower()
        require(not words or any(word.lower() in text for word in words),
                f"{message} is refused, but the message has none of {words}: {error}")
    except Exception as error:
        raise AssertionError(
            f"{message} gives {type(error).__name__}, not one of "
            f"{[kind.__name__ for kind in kinds]}: {error}"
        ) from error
    else:
        raise AssertionError(f"{message} is not refused")


def permuted(atoms, order):
    """Atoms in another order."""
    return Atoms(
        numbers=atoms.numbers[order], positions=atoms.positions[order], cell=atoms.cell,
        pbc=atoms.pbc,
    )
