"""Objectives of a search that use atomic features and forces and train no model."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..structures._target_checks import check_forces, flatten_forces
from ..utils.ragged import EXPONENTS, RaggedRows

# number of representative rows; each costs derivatives with respect to all positions
_N_REFERENCES = 60


def search_objectives(features, metadata):
    """Objectives by name that replace those for features of any kind.

    Parameters
    ----------
    features : AtomicFeatures
        Features of all structures.
    metadata : dict
        What fit is given besides the targets.

    Returns
    -------
    dict of str to callable
        "alignment" if there are forces.
    """
    forces = metadata.get("forces")
    return {} if forces is None else {"alignment": partial(_swapped, features, forces)}


def _swapped(features, forces, y):
    return alignment_with_forces(features, y, forces)


def alignment_with_forces(Z, y, forces):
    """Alignment between the kernel of features and targets that include forces.

    The kernel is that of structures in the objective "ridge", and its derivatives by the positions
    are the kernel of forces. Energies per row and forces each have the same share in the
    alignment, whatever their units and numbers; only energies are centered.

    Parameters
    ----------
    Z : container of ragged features
        It has the method ``gradient_rows``, as :class:`~skdesc.AtomicFeatures`.
    y : array-like of shape (n_samples,)
        Energies; NaN leaves them out.
    forces : sequence of array-like of shape (n_atoms, 3)
        Forces of each sample; None or NaN leaves them out.

    Returns
    -------
    float
        Between 0 and 1, of the best order of the kernel.
    """
    ragged = RaggedRows(Z)
    energies = ragged.targets(np.asarray(y, dtype=np.float64).reshape(-1, 1))[:, 0]
    of_known = np.isfinite(energies)
    energies = _without_mean(energies[of_known])
    flat = flatten_forces(check_forces(forces, Z.n_atoms), Z.n_atoms).reshape(-1)
    known = np.isfinite(flat)
    shares = [np.linalg.norm(energies) or 1.0, np.linalg.norm(flat[known]) or 1.0]
    target = np.concatenate([energies / shares[0], flat[known] / shares[1]])
    best = 0.0
    for exponent in EXPONENTS:
        of_energies, of_forces = _rows_with_forces(Z, ragged, exponent)
        of_energies = _without_mean(of_energies[of_known])
        rows = np.concatenate([of_energies / shares[0], of_forces[known] / shares[1]])
        norm = np.linalg.norm(rows.T @ rows) * (target @ target)
        if norm > 0:
            best = max(best, float(np.sum((rows.T @ target) ** 2) / norm))
    return best


def _rows_with_forces(Z, ragged, exponent):
    """Features of samples whose dot products are the kernel, and minus their derivatives.

    The derivatives are by the positions of all atoms, and those of sums over rows, not of means.
    Rows are as they are: a normalised descriptor has unit rows, and knows the derivatives of these.
    """
    of_samples, of_forces = [], []
    for block in range(len(Z.blocks)):
        part = Z.block(block)
        groups = ragged.references(part.values, exponent, _N_REFERENCES)
        for members, references, half in groups:
            dot = part.values[members] @ references.T
            of_samples.append(ragged.membership[:, members] @ (dot**exponent @ half))
            slope = np.zeros((len(part.values), len(references)))
            slope[members] = exponent * dot ** (exponent - 1)
            gradient, _ = part.gradient_rows(references, slope)
            of_forces.append(-gradient.reshape(-1, len(references)) @ half)
    return np.hstack(of_samples) / ragged.per_row, np.hstack(of_forces)


def _without_mean(rows):
    return rows - rows.sum(axis=0) / max(1, len(rows))
