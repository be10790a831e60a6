"""Warnings about labels that look wrong: placeholders, energies per atom, single mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..exceptions import SuspiciousTargetsWarning
from ..least_squares import Prior
from ..structures._stored_results import N_NAMED, join_first
from ..utils.user_warnings import warn_user

# energies that a function of the fractions of elements fits this well, and so many times better
# than one of the numbers of atoms, are energies per atom
_FITTED, _BETTER = 0.1, 2.0
# Leave-one-out errors, in eV per atom and over the standard deviation that the model expects, are
# suspected if they are so many times the typical one. A wrong energy spoils the errors of others,
# so that what counts is the error of a fit without the suspects. Rare structures have large errors,
# too, as dimers on the repulsive wall: errors must not be small beside the spread of energies.
_SUSPECTED, _OUTLYING, _OF_SPREAD = 6.0, 40.0, 0.5
_FEWEST_STRUCTURES, FEWEST_POINTS = 12, 10
# forces (per angstrom) or virials that are exactly zero are placeholders if the prior lets them
# vary by this part of the energy scale; at sites of symmetry they cannot vary at all
_VARYING = 1e-2
_N_LOOKED_AT = 8


def _warn(text: str) -> None:
    warn_user(text, SuspiciousTargetsWarning)


def warn_of_missing_energies(y: np.ndarray) -> None:
    """Warn that energies are NaN and so are not learned.

    Parameters
    ----------
    y : ndarray of shape (n_structures,)
        Energies.
    """
    missing = np.flatnonzero(np.isnan(y))
    if len(missing) in (0, len(y)):  # a fit without any energy is refused elsewhere
        return
    _warn(
        f"y is NaN for {len(missing)} of {len(y)} structures ({join_first(missing)}), whose "
        "energies are left out; if they should be known, look at their calculations and at "
        "names of keys"
    )


def warn_of_energies_per_atom(
    energies: np.ndarray, composition: np.ndarray
) -> None:
    """Warn about energies that do not grow with the number of atoms.

    Parameters
    ----------
    energies : ndarray of shape (n_structures,)
        NaN where not known.
    composition : ndarray of shape (n_structures, n_elements)
        Numbers of atoms.
    """
    known = np.isfinite(energies)
    y, N = energies[known], composition[known]
    n_atoms = N.sum(axis=1)
    n_structures, n_elements = N.shape
    if n_structures < 3 * n_elements + 5 or not y.any():
        return
    if n_atoms.max() == n_atoms.min():  # both fit alike
        return

    def misfit(columns):
        fit = columns @ np.linalg.lstsq(columns, y, rcond=1e-10)[0]
        return np.linalg.norm(y - fit) / np.linalg.norm(y)

    as_totals, per_atom = misfit(N), misfit(N / n_atoms[:, np.newaxis])
    if per_atom < _FITTED and as_totals > _BETTER * per_atom:
        _warn(
            f"y looks like energies per atom: a function of the fractions of elements fits it to "
            f"{100 * per_atom:.2g} %, one of the numbers of atoms to {100 * as_totals:.2g} % only; "
            "totals are needed: multiply by the numbers of atoms"
        )


def warn_of_placeholders(
    environments: Any, targets: Any, prior: Prior, scales: np.ndarray, rows_of: Callable
) -> None:
    """Warn about forces and virials that are zero or constant without a physical reason.

    Parameters
    ----------
    environments : Environments
        The structures.
    targets : Targets
        Their labels.
    prior : Prior
        Covariances among the sparse points.
    scales : ndarray of shape (n_terms,)
        Energy scales of the fit.
    rows_of : callable
        Covariances of energies, forces and virials of some structures with the sparse points.
    """
    several = environments.n_atoms > 1
    zero_forces, constant = _suspicious_forces(targets, several)
    if len(constant) and _vary(targets.energies / environments.n_atoms):
        _warn(
            f"forces of {len(constant)} structures ({join_first(constant)}) have the same value in "
            "all components, so that they are placeholders; use None or NaN for what is missing"
        )
    zero_virials, constant = _suspicious_virials(targets, environments)
    if len(constant):
        _warn(
            f"virials of {len(constant)} structures ({join_first(constant)}) are the same, or "
            "those of the same stress, although energies differ, so that they are placeholders; "
            "use None or NaN for what is missing"
        )
    for name, index in (("forces", zero_forces), ("virials", zero_virials)):
        # a few zeros are enough to tell
        some = index[np.argsort(environments.n_atoms[index], kind="stable")][:_N_LOOKED_AT]
        if not len(some):
            continue
        looked_at = environments.take(np.sort(some))
        if _can_vary(name, rows_of(looked_at), looked_at.n_atoms, prior, scales):
            _warn(
                f"{name} of {len(index)} of {len(environments)} structures ({join_first(index)}) "
                "are exactly zero, although no symmetry makes them so: they look like "
                "placeholders; use None or NaN for what is missing"
            )


def _suspicious_forces(targets: Any, several: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structures whose forces are all zero, and those whose forces are another constant."""
    if targets.forces is None:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    starts = targets.offsets[:-1]
    least = np.minimum.reduceat(targets.forces.min(axis=1), starts)
    largest = np.maximum.reduceat(targets.forces.max(axis=1), starts)
    is_constant = several & (least == largest)  # not where one is NaN
    return (
        np.flatnonzero(is_constant & (least == 0.0)), np.flatnonzero(is_constant & (least != 0.0))
    )


def _suspicious_virials(
    targets: Any, environments: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Structures whose virial is zero, and those that share one, or its stress, with others."""
    virials = targets.virials
    if virials is None:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    known = np.flatnonzero(np.isfinite(virials).all(axis=1))
    is_zero = ~virials[known].any(axis=1)
    others = known[~is_zero]
    volumes = np.abs(np.linalg.det(environments.structures.cells[others]))
    constant: set[int] = set()
    for scale in (np.ones(len(others)), np.where(volumes > 0, volumes, 1.0)):
        rounded = np.array([
            [float(f"{value:.9e}") for value in row] for row in virials[others] / scale[:, None]
        ]).reshape(-1, 6)
        _, group, counts = np.unique(rounded, axis=0, return_inverse=True, return_counts=True)
        for number in np.flatnonzero(counts >= 3):
            members = others[group.ravel() == number]
            energies = targets.energies[members] / environments.n_atoms[members]
            if _vary(energies):
                constant.update(members.tolist())
    return known[is_zero], np.array(sorted(constant), dtype=np.intp)


def _vary(energies: np.ndarray) -> bool:
    """Whether energies per atom differ by more than a threshold in eV."""
    known = energies[np.isfinite(energies)]
    return len(known) > 1 and bool(np.ptp(known) > 1e-6)


def _can_vary(
    name: str, rows: tuple, n_atoms: np.ndarray, prior: Prior, scales: np.ndarray
) -> bool:
    """Whether the prior lets forces or virials of some structures differ from zero."""
    _, forces, virials = rows
    of_points = prior.repeat_per_point(scales)

    def spread(rows):
        return np.sqrt(np.square(prior.whiten(rows) * of_points).sum(axis=1))

    if name == "virials":
        # a virial of one structure has six rows
        parts = np.split(spread(virials.reshape(-1, virials.shape[-1])), len(n_atoms))
    else:
        parts = np.split(spread(forces), np.cumsum(3 * n_atoms)[:-1])
    least = _VARYING * np.max(scales)
    return all(part.max() > least for part in parts)


def warn_of_outliers(
    errors: np.ndarray, expected: np.ndarray, n_atoms: np.ndarray, config_types: Sequence | None,
    spread: float, without: Callable,
) -> None:
    """Warn about single energies that contradict all others.

    Parameters
    ----------
    errors : ndarray of shape (n_structures,)
        Leave-one-out errors of energies, in eV; NaN where there is none.
    expected : ndarray of shape (n_structures,)
        Their standard deviations, as the model expects them.
    n_atoms : ndarray of shape (n_structures,)
        Numbers of atoms.
    config_types : sequence or None
        Kinds of the structures.
    spread : float
        Of energies per atom, but for `e0`, in eV.
    without : callable
        Gives both arrays for a fit without the energies of some structures, whose errors are
        those of that fit.
    """
    known = np.flatnonzero(np.isfinite(errors) & (expected > 0))
    if len(known) < _FEWEST_STRUCTURES:
        return
    ratios = _ratios(errors[known], expected[known], n_atoms[known])
    is_large = np.abs(errors[known]) > _OF_SPREAD * spread * n_atoms[known]
    suspects = known[(ratios > _SUSPECTED) & is_large]
    if not 0 < len(suspects) <= 0.1 * len(known):  # many are no outliers
        return
    others, their_expected = without(suspects)
    rest = np.setdiff1d(known, suspects)
    ratios = np.array([
        _ratios(*(of[np.append(rest, index)] for of in (others, their_expected, n_atoms)))[-1]
        for index in suspects
    ])
    order = np.argsort(-ratios, kind="stable")
    worst = [k for k in order if ratios[k] > _OUTLYING]
    if not worst:
        return
    named = []
    for k in worst[:N_NAMED]:
        index = int(suspects[k])
        kind = "" if config_types is None else f", config_type {config_types[index]}"
        named.append(
            f"structure {index}{kind}: {others[index] / n_atoms[index]:.3g} eV/atom, "
            f"{ratios[k]:.0f} times"
        )
    more = ", ..." if len(worst) > N_NAMED else ""
    _warn(
        f"energies of {len(worst)} of {len(known)} structures are far off what all others imply "
        "(error of a fit without them, and its ratio to the typical leave-one-out error: "
        f"{'; '.join(named)}{more}); look at these calculations, leave them out, or give them "
        "noise by sigmas"
    )


def _ratios(errors: np.ndarray, expected: np.ndarray, n_atoms: np.ndarray) -> np.ndarray:
    """Errors relative to typical ones, per atom or per expected error, whichever is smaller."""
    ratios = np.full(len(errors), np.inf)
    for divisor in (expected, n_atoms):
        relative = np.abs(errors) / divisor
        typical = 1.4826 * np.median(relative)  # the standard deviation, were they normal
        ratios = np.minimum(ratios, relative / max(typical, 1e-300))
    return ratios


def warn_of_steps(environments: Any) -> None:
    """Warn that energies jump where neighbors pass a cutoff, as forces are learned.

    Parameters
    ----------
    environments : Environments
        The structures, whose derivatives are learned.
    """
    descriptor = environments.features.descriptor
    for part in getattr(descriptor, "descriptors", [descriptor]):
        if getattr(part, "parameters", {}).get("cutoff_width", 1.0) == 0.0:
            _warn(
                "cutoff_width is 0, so that energies jump where a neighbor passes the cutoff, and "
                "forces and virials, which are learned, are not their derivatives there; use a "
                "width such as 0.5 or 1 angstrom"
            )
            return


def warn_of_wide_features(environments: Any) -> None:
    """Warn if there are far more features than atoms to learn from.

    Parameters
    ----------
    environments : Environments
        The structures.
    """
    n_centers, n_features = environments.values.shape
    if n_features > 20_000 and n_features > 20 * n_centers:
        n_elements = len(environments.elements())
        _warn(
            f"X has {n_features} features of {n_centers} atoms: most of time, memory and file size "
            f"goes into pairs of the {n_elements} elements that hardly occur; use "
            "TensorReducedTransformer, whose size does not depend on the elements, or "
            "SOAPTransformer(compression=...), fewer n_max or l_max"
        )
