"""Mixing weights of tensor-reduced descriptors: drawn per element, or checked.

Numbers come from streams that the seed, the element, the factor and l name, and the channels are
successive numbers. So another element, another factor or more channels leave all other weights as
they are.
"""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols

KINDS = ("normal", "rademacher", "orthogonal", "learned")


def axes(n_species, *, n_factors, n_max, l_max, n_channels, reduce, per_l):
    """Shape of the array of weights, and what each axis is.

    Parameters
    ----------
    n_species, n_factors, n_max, l_max, n_channels : int
        Sizes.
    reduce : collection of str
        What is mixed: "species", "radial" or both.
    per_l : bool
        Whether every l has weights of its own.

    Returns
    -------
    dict
        From the name of an axis to its length, in order.
    """
    sizes = {"n_factors": n_factors}
    if per_l:
        sizes["l_max + 1"] = l_max + 1
    if "species" in reduce:
        sizes["n_species"] = n_species
    if "radial" in reduce:
        sizes["n_max"] = n_max
    sizes["n_channels"] = n_channels
    return sizes


def draw(kind, seed, species, *, n_factors, n_max, l_max, n_channels, reduce, per_l):
    """Draw weights of zero mean and unit variance.

    Parameters
    ----------
    kind : {"normal", "rademacher", "orthogonal"}
        Distribution of one weight. With "orthogonal", each run of `n_max` channels has
        orthogonal rows for every element.
    seed : int
        Seed.
    species : sequence of int
        Atomic numbers.
    n_factors, n_max, l_max, n_channels, reduce, per_l
        As for :func:`axes`.

    Returns
    -------
    ndarray
        The weights, of the shape that :func:`axes` tells.
    """
    elements = species if "species" in reduce else [0]
    radial = n_max if "radial" in reduce else 1
    weights = np.empty((n_factors, l_max + 1 if per_l else 1, len(elements), radial, n_channels))
    for t, l, s in np.ndindex(weights.shape[:3]):
        key = (int(elements[s]), t, l)
        weights[t, l, s] = _ONE[kind](seed, key, radial, n_channels)
    sizes = axes(
        len(elements), n_factors=n_factors, n_max=n_max, l_max=l_max, n_channels=n_channels,
        reduce=reduce, per_l=per_l,
    )
    return weights.reshape(tuple(sizes.values()))


def _stream(seed, *key):
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _normal(seed, key, n_max, n_channels):
    return [_stream(seed, *key, n).standard_normal(n_channels) for n in range(n_max)]


def _rademacher(seed, key, n_max, n_channels):
    uniform = [_stream(seed, *key, n).random(n_channels) for n in range(n_max)]
    return np.where(np.array(uniform) < 0.5, -1.0, 1.0)


def _orthogonal(seed, key, n_max, n_channels):
    """Orthogonal matrices, uniformly distributed, side by side."""
    n_blocks = -(-n_channels // n_max)
    normal = _stream(seed, *key).standard_normal((n_blocks, n_max, n_max))
    q, r = np.linalg.qr(normal)
    q *= np.sqrt(n_max) * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    return q.transpose(1, 0, 2).reshape(n_max, -1)[:, :n_channels]


_ONE = {"normal": _normal, "rademacher": _rademacher, "orthogonal": _orthogonal}


def check(weights, species, sizes):
    """Check an array of weights that the user gave.

    Parameters
    ----------
    weights : array-like
        The weights.
    species : sequence of int
        Atomic numbers, ascending.
    sizes : dict
        What :func:`axes` gave.

    Returns
    -------
    ndarray
        A copy, C-contiguous.

    Raises
    ------
    ValueError
        If the shape is another one, or an entry is not finite.
    """
    try:
        array = np.array(weights, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"weights must be one of {list(KINDS)} or an array of numbers, got {weights!r}"
        ) from error
    if array.shape != tuple(sizes.values()):
        names = [chemical_symbols[z] for z in species]
        raise ValueError(
            f"weights has shape {array.shape}, but must have the shape ({', '.join(sizes)}) = "
            f"{tuple(sizes.values())} with the species {names} in this order; give such an "
            "array, or a scheme such as weights='normal'"
        )
    if not np.isfinite(array).all():
        raise ValueError("weights has NaN or infinite entries; all must be finite")
    return array
