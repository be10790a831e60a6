"""Energies, forces, virials and their noise, as passed to fit; checked by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from ..exceptions import SuspiciousTargetsWarning
from ..structures._target_checks import (
    LARGEST,
    check_block,
    check_forces,
    check_one_per_structure,
    flatten_forces,
)
from ..utils.indexing import segments_to_indices
from ..utils.user_warnings import warn_user
from ._inputs import check_config_types
from ._rows import VOIGT

QUANTITIES = ("energy", "forces", "virials")
# factors of the parts of a variance, see `Posterior.variances`; forces have a constant part, too
UNCALIBRATED = {"energy": np.array([1.0, 1.0]), "forces": np.array([1.0, 1.0, 0.0])}
_FULL_TENSOR = (
    "give tensors -volume * stress in eV, as extract_targets makes them of a stress; "
    "ase.stress.voigt_6_to_full_3x3_stress unpacks six components"
)
_THREE_SIGMAS = "give that of energy per atom, forces and virials; NaN for the default"


@dataclass(frozen=True)
class Targets:
    """Targets of all structures; NaN where there is none.

    Parameters
    ----------
    energies : ndarray of shape (n_structures,)
        Total energies, in eV.
    forces : ndarray of shape (n_atoms_of_all, 3) or None
        In eV/angstrom.
    virials : ndarray of shape (n_structures, 6) or None
        Components xx yy zz yz xz xy of the virials, in eV.
    relative_noise : ndarray of shape (n_structures, 3)
        Noise of energy per atom, forces and virial of each structure, over the defaults.
    offsets : ndarray of shape (n_structures + 1,)
        Structure `s` owns the atoms ``offsets[s]`` to ``offsets[s + 1]``.
    given : Targets or None
        What they were before a baseline was subtracted; None where none was.
    """

    energies: np.ndarray
    forces: np.ndarray | None
    virials: np.ndarray | None
    relative_noise: np.ndarray
    offsets: np.ndarray
    given: Targets | None = None

    @property
    def labels(self):
        """Targets as they were given, the baseline included."""
        return self if self.given is None else self.given

    def take(self, index):
        """Targets of the structures of an index array."""
        rows, offsets = segments_to_indices(self.offsets, index)
        return Targets(
            self.energies[index],
            None if self.forces is None else self.forces[rows],
            None if self.virials is None else self.virials[index],
            self.relative_noise[index],
            offsets,
        )

    def noise_of_structures(self, n_atoms):
        """Relative noise of total energies, forces and virials, like `relative_noise`.

        That of energies and virials grows with the root of the number of atoms.
        """
        noise = self.relative_noise.copy()
        noise[:, [0, 2]] *= np.sqrt(n_atoms)[:, np.newaxis]
        return noise

    def n_rows(self):
        """Largest number of rows of each structure, ndarray of shape (n_structures,)."""
        n_forces = 0 if self.forces is None else 3 * np.diff(self.offsets)
        n_virials = 0 if self.virials is None else 6
        return 1 + self.has_derivatives() * (n_forces + n_virials)

    def has_derivatives(self):
        """Mask of the structures that have a force or a virial component."""
        mask = np.zeros(len(self.energies), dtype=bool)
        if self.forces is not None:
            known = np.isfinite(self.forces).any(axis=1)
            mask |= np.logical_or.reduceat(np.append(known, False), self.offsets[:-1])
            mask &= np.diff(self.offsets) > 0
        if self.virials is not None:
            mask |= np.isfinite(self.virials).any(axis=1)
        return mask

    def subtract(self, energies, forces, virials):
        """Targets from which those of a baseline are subtracted; None where not needed."""
        return replace(
            self,
            energies=self.energies - energies,
            forces=None if self.forces is None else self.forces - forces,
            virials=None if self.virials is None else self.virials - virials[:, *VOIGT],
            given=self,
        )


def check_targets(
    environments, y, *, noise, forces=None, virials=None, sigmas=None, config_types=None
):
    """Check targets against environments.

    Parameters
    ----------
    environments : Environments
        The structures.
    y : array-like of shape (n_structures,)
        Energies.
    noise : dict of str to float
        Default noise of energies per atom, of forces and of virials.
    forces, virials, sigmas, config_types : object, default=None
        As passed to fit.

    Returns
    -------
    Targets
        The same, in float64.
    """
    if y is None:
        raise ValueError("GAPRegressor requires y to be passed, but the target y is None; give "
                         "the total energies")
    # of plain arrays, scikit-learn's conventions want them refused
    finite = True if environments.features is None else "allow-nan"
    y = column_or_1d(
        check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=finite,
                    input_name="y"),
        warn=True,
    )
    check_consistent_length(environments, y)
    largest = np.abs(np.nan_to_num(y)).argmax()
    if np.abs(y[largest]) > LARGEST:
        raise ValueError(f"y has {y[largest]:.3g}, but energies in eV are below "
                         f"{LARGEST:g}; leave out what has not converged")
    if forces is not None or virials is not None:
        environments.require_structures()
    n_atoms = environments.n_atoms
    if forces is not None:
        forces = flatten_forces(check_forces(forces, n_atoms), n_atoms)
    return Targets(
        y,
        forces,
        None if virials is None else _check_virials(virials, len(environments)),
        _check_relative_noise(sigmas, config_types, len(environments), noise),
        np.concatenate([[0], np.cumsum(n_atoms)]),
    )


def _check_virials(virials, n_structures):
    check_one_per_structure("virials", virials, n_structures)
    result = np.full((n_structures, 6), np.nan)
    for index, block in enumerate(virials):
        virial = check_block("virials", block, index, (3, 3), _FULL_TENSOR)
        if virial is None or np.isnan(virial).all():
            continue
        skew = np.abs(np.nan_to_num(virial - virial.T)).max()
        if skew > 1e-3 * max(np.nanmax(np.abs(virial)), 1.0):
            raise ValueError(f"virials[{index}] is not symmetric (off by {skew:.3g} eV), but a "
                             "virial -dE/d(strain) is; check how it was unpacked")
        result[index] = 0.5 * (virial + virial.T)[VOIGT]
    return result


def _check_relative_noise(sigmas, config_types, n_structures, defaults):
    result = np.ones((n_structures, len(QUANTITIES)))
    if sigmas is None:
        return result
    if isinstance(sigmas, Mapping):
        sigmas = sigmas_of_kinds(sigmas, config_types, n_structures)
    check_one_per_structure("sigmas", sigmas, n_structures)
    if hasattr(sigmas, "to_numpy"):
        sigmas = sigmas.to_numpy()
    blocks = [check_block("sigmas", row, i, (3,), _THREE_SIGMAS) for i, row in enumerate(sigmas)]
    sigmas = np.array([(np.nan,) * 3 if row is None else row for row in blocks])
    given = ~np.isnan(sigmas)
    bad = np.argwhere(given & ~(np.where(given, sigmas, 1.0) > 0))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise ValueError(f"sigmas has {sigmas[index]} for structure {index[0]}, but noise must be "
                         "positive; leave out a target by None or NaN, not by its noise")
    relative = sigmas / np.array([defaults[quantity] for quantity in QUANTITIES])
    result[given] = relative[given]
    return result


def sigmas_of_kinds(table, config_types, n_structures):
    """Noise of each structure, from that of kinds of structures.

    Parameters
    ----------
    table : dict
        Three numbers for each kind; NaN where the defaults stand.
    config_types : sequence or None
        Kinds of the structures.
    n_structures : int
        Number of structures.

    Returns
    -------
    list
        Three numbers for each structure.
    """
    check_config_types(config_types, n_structures, "sigmas is a dict")
    for kind, values in table.items():
        if np.shape(values) != (3,):
            raise ValueError(f"sigmas has {values!r} for {kind!r}, but three numbers are needed: "
                             f"{_THREE_SIGMAS}")
    # not an error: a part of the structures, such as a fold, may lack a rare kind
    if table and not set(table) & set(config_types):
        warn_user(
            f"no structure is of a kind in sigmas, {sorted(map(str, table))}, so that all have "
            "the default noise; check the names",
            SuspiciousTargetsWarning,
        )
    return [table.get(kind, (np.nan,) * 3) for kind in config_types]
