"""Tensor-reduced invariants in a few lines of NumPy, to test the compiled code against."""

from __future__ import annotations

import numpy as np

from ._couplings import coupling_tensor


def mix(coefficients, weights, reduce):
    """Mixed coefficients.

    Parameters
    ----------
    coefficients : ndarray of shape (n_atoms, (l_max + 1)^2, n_species, n_max)
        Density coefficients.
    weights : ndarray
        Mixing weights of shape (n_factors, l_max + 1, species, n, n_channels); an axis that is
        not mixed, or that all share, has length one.
    reduce : collection of str
        What is mixed: "species", "radial" or both.

    Returns
    -------
    ndarray of shape (n_factors, n_atoms, (l_max + 1)^2, n_unmixed, n_channels)
        The mixed coefficients.
    """
    n_l = int(np.sqrt(coefficients.shape[1]))
    degree = np.repeat(np.arange(n_l), 2 * np.arange(n_l) + 1)
    weights = np.broadcast_to(weights, (len(weights), n_l, *weights.shape[2:]))[:, degree]
    shape = (*weights.shape[:2], *coefficients.shape[2:], weights.shape[-1])
    weights = np.broadcast_to(weights, shape)
    kept = {1: {"species": "n", "radial": "s"}.get(min(reduce), "")}.get(len(reduce), "")
    return np.einsum(f"axsn,txsnk->tax{kept}k", coefficients, weights).reshape(
        len(weights), *coefficients.shape[:2], -1, weights.shape[-1]
    )


def features(mixed, terms):
    """Unnormalized features.

    Parameters
    ----------
    mixed : ndarray of shape (n_factors, n_atoms, (l_max + 1)^2, n_unmixed, n_channels)
        Mixed coefficients.
    terms : sequence of Term
        The invariants.

    Returns
    -------
    ndarray of shape (n_atoms, n_terms * n_channels)
        The features.
    """
    n_channels = mixed.shape[-1]
    columns = []
    for term in terms:
        rest = coupling_tensor(term.degrees, term.intermediate)
        factors = [
            mixed[t, :, l * l : (l + 1) ** 2, u]
            for l, u, t in zip(term.degrees, term.unmixed, term.factors, strict=True)
        ]
        value = np.einsum("x...,axk->ak...", rest, factors[0])
        for factor in factors[1:]:
            value = np.einsum("akx...,axk->ak...", value, factor)
        columns.append(np.pi * np.sqrt(8 / n_channels) * term.weight * value)
    return np.concatenate(columns, axis=1)
