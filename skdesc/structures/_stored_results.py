"""Look up reference data of structures, and describe why some cannot be used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

# parts of names of weights, noise and the like, which are not the quantity itself
_COMPANION = re.compile(r"sigma|weight|std|var|err|scale|unit|mask|per_?atom|cutoff|shift|max|min|"
                        r"norm|rmse|mae", re.IGNORECASE)
_NAMES = {
    "energy": re.compile(r"energy|energies|toten|etot|(^|_)e$|(^|_)u0?$", re.IGNORECASE),
    "forces": re.compile(r"force|(^|_)f$|gradient|(^|_)grad$", re.IGNORECASE),
    "virials": re.compile(r"virial|stress", re.IGNORECASE),
}
N_NAMED = 5
"""Number of structures or names that a message lists."""


def join_first(items: Iterable[Any]) -> str:
    """List the first items, followed by "..." if there are more.

    Parameters
    ----------
    items : iterable
        The items.

    Returns
    -------
    str
        Separated by commas.
    """
    items = list(items)
    return ", ".join(map(str, items[:N_NAMED])) + (", ..." if len(items) > N_NAMED else "")


@dataclass
class StoredResults:
    """Reader of results of many structures that records which are outdated.

    Attributes
    ----------
    outdated : dict of int to set of str
        For each structure whose calculator has results for another state of the structure,
        the properties that have changed since.
    """

    outdated: dict[int, set[str]] = field(default_factory=dict)

    def get(self, atoms: Atoms, index: int, key: str | None, store: str) -> Any:
        """Look up a value under a name.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure.
        index : int
            Its number.
        key : str or None
            The name; None for no value.
        store : {"info", "arrays"}
            Where data outside a calculator are stored.

        Returns
        -------
        object
            None if there is no value, or only one for another state of the structure.
        """
        results = getattr(atoms.calc, "results", {})
        if key in results:
            # never starts a calculation
            if not atoms.calc.calculation_required(atoms, [key]):
                return results[key]
            changes = atoms.calc.check_state(atoms) if hasattr(atoms.calc, "check_state") else ()
            self.outdated.setdefault(index, set()).update(changes)
        return getattr(atoms, store).get(key)

    def explain(self, indices: Iterable[int], name: str = "frames") -> str:
        """Describe which structures were changed after their calculator ran.

        Parameters
        ----------
        indices : iterable of int
            The structures.
        name : str, default="frames"
            Name of the structures in messages.

        Returns
        -------
        str
            A sentence with its remedy.
        """
        indices = sorted(indices)
        changes = sorted(set().union(*(self.outdated[index] for index in indices)))
        some = "structures have" if len(indices) > 1 else "structure has"
        what = f" ({join_first(changes)})" if changes else ""
        return (
            f"{len(indices)} {some} been changed{what} since the calculator ran, or share a "
            f"calculator that went on to another structure, so these results are ignored: "
            f"{name}[{join_first(indices)}]; give each structure a calculator of its own, and run "
            "it after the last change (wrap and set_pbc are changes, too)"
        )


def look_alikes(frames: Sequence[Atoms], quantity: str, known: Iterable[str]) -> list[str]:
    """Find names of data that look like a quantity stored under another name.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Structures that lack the quantity.
    quantity : {"energy", "forces", "virials"}
        The quantity.
    known : iterable of str
        Names that have been looked up.

    Returns
    -------
    list of str
        Sorted.
    """
    known = set(known)
    return sorted({
        key
        for atoms in frames
        for key, value in _entries(atoms)
        if key not in known
        and _NAMES[quantity].search(key)
        and not _COMPANION.search(key)
        and _has_shape(value, quantity, len(atoms))
    })


def _entries(atoms: Atoms) -> Iterator[tuple[str, Any]]:
    for store in (atoms.info, atoms.arrays, getattr(atoms.calc, "results", {})):
        yield from ((key, value) for key, value in store.items() if isinstance(key, str))


def _has_shape(value: Any, quantity: str, n_atoms: int) -> bool:
    try:
        value = np.asarray(value)
    except (TypeError, ValueError):
        return False
    if value.dtype.kind not in "fiu" or not value.size:
        return False
    if quantity == "energy":
        return value.size == 1
    if quantity == "forces":
        return value.shape == (n_atoms, 3)
    return value.shape in ((6,), (9,), (3, 3))
