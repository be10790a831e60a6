"""All checks, and ways to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from sklearn.base import clone

from ..utils.typing import Samples
from . import _input, _manners, _output, _physics


def sample_structures() -> list[Atoms]:
    """Structures that the checks use unless others are given.

    Returns
    -------
    list of ase.Atoms
        Molecules, a single atom, a crystal and a chain, of H, C, N and O, all off their
        positions of symmetry.
    """
    rng = np.random.default_rng(7)
    chain = Atoms("CO", positions=[[0, 0, 0], [0, 0.3, 1.3]], cell=[0, 0, 2.7], pbc=[0, 0, 1])
    frames = [molecule("H2O"), molecule("CH3OH"), Atoms("O"), bulk("C").repeat((2, 1, 1)),
              molecule("NH3"), chain, molecule("HCN"), molecule("CH4")]
    for atoms in frames:
        atoms.positions += rng.normal(0.0, 0.05, atoms.positions.shape)
    return frames


def atoms_transformer_checks(
    estimator: Any, *, structures: Samples | None = None, skip: Iterable[str] = ()
) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Yield the checks of a transformer of Atoms.

    Parameters
    ----------
    estimator : estimator
        A transformer, not fitted.
    structures : sequence of ase.Atoms, default=None
        At least four structures that it can be fitted to; :func:`sample_structures` by
        default.
    skip : sequence of str, default=()
        Names of checks to leave out.

    Yields
    ------
    name : str
        Name of a check.
    check : callable
        Called as ``check(estimator)``; raises ``AssertionError`` if the estimator fails.
    """
    checks = {
        name: check
        for module in (_manners, _input, _output, _physics)
        for name, check in vars(module).items() if name.startswith("check_")
        and getattr(check, "__module__", None) == module.__name__
    }
    unknown = set(skip) - set(checks)
    if unknown:
        raise ValueError(f"skip has {sorted(unknown)}, but the checks are {sorted(checks)}")
    for name, check in checks.items():
        if name not in skip:
            yield name, partial(_run, check, structures)


def _run(check, structures, estimator):
    check(clone(estimator), sample_structures() if structures is None else list(structures))


def check_atoms_transformer(
    estimator: Any, *, structures: Samples | None = None, skip: Iterable[str] = ()
) -> None:
    """Run all checks on a transformer of Atoms.

    Parameters
    ----------
    estimator : estimator
        A transformer, not fitted.
    structures : sequence of ase.Atoms, default=None
        At least four structures that it can be fitted to; :func:`sample_structures` by
        default.
    skip : sequence of str, default=()
        Names of checks to leave out, such as ``"check_rotation"``.

    Returns
    -------
    list of str
        Names of the checks that were run.

    Raises
    ------
    AssertionError
        If a check fails; the message names it.

    Examples
    --------
    >>> from skdesc import SOAPTransformer
    >>> from skdesc.testing import check_atoms_transformer
    >>> names = check_atoms_transformer(SOAPTransformer(n_max=3, l_max=2, cutoff=3.0))
    >>> "check_rotation" in names
    True
    """
    names = []
    for name, check in atoms_transformer_checks(estimator, structures=structures, skip=skip):
        try:
            check(estimator)
        except Exception as error:
            raise AssertionError(f"{type(estimator).__name__} fails {name}: {error}") from error
        names.append(name)
    return names


def parametrize_with_atoms_checks(
    estimators: Iterable[Any], *, structures: Samples | None = None, skip: Iterable[str] = ()
) -> Any:
    """Decorate a test such that pytest runs it for every estimator and check.

    Parameters
    ----------
    estimators : list of estimator
        Transformers, not fitted.
    structures : sequence of ase.Atoms, default=None
        As in :func:`check_atoms_transformer`.
    skip : sequence of str, default=()
        Names of checks to leave out.

    Returns
    -------
    callable
        The decorator; the test has the arguments `estimator` and `check`.
    """
    import pytest

    pairs = [
        pytest.param(estimator, check, id=f"{estimator}-{name}".replace("\n", ""))
        for estimator in estimators
        for name, check in atoms_transformer_checks(estimator, structures=structures, skip=skip)
    ]
    return pytest.mark.parametrize(("estimator", "check"), pairs)
