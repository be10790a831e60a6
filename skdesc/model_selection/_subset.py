"""Searches on subsets of the samples: their choice, and the price of candidates."""

from __future__ import annotations

import numpy as np

from ..utils._sklearn_compat import safe_indexing
from ..utils.folds import split_blocks

# smaller subsets rank candidates by chance
_FEWEST_SAMPLES = 150
_FACTOR = 3
_MOST_STEPS = 2
# price of a candidate in fits to all data: one pass yields all folds, or each fold is a fit
PRICE_OF_ONE_PASS = 1.3
# price of a candidate among about ten that share a pass
PRICE_WITHOUT_PASS = 0.2


def choose_fractions(n_samples):
    """Return the fractions of the samples on which candidates are compared; the last is 1.

    Parameters
    ----------
    n_samples : int
        Number of samples.

    Returns
    -------
    list of float
        Fractions, each three times the one before, and none with fewer than 150 samples.
    """
    steps = range(_MOST_STEPS, 0, -1)
    return [_FACTOR**-step for step in steps if n_samples * _FACTOR**-step >= _FEWEST_SAMPLES] + [1]


def choose_samples(splits, n_samples, fraction, seed):
    """Choose a subset of the samples; smaller subsets of the same seed are contained in it.

    Parameters
    ----------
    splits : list of (train, test)
        The folds; each part of each fold keeps the same fraction of its samples.
    n_samples : int
        Number of samples.
    fraction : float
        Fraction of the samples.
    seed : int
        Seed of the choice.

    Returns
    -------
    ndarray of int
        Indices of the samples, ascending.
    """
    rank = np.random.RandomState(seed).permutation(n_samples)
    chosen = []
    for block in split_blocks([part for split in splits for part in split], n_samples):
        n_kept = min(len(block), max(2, int(np.ceil(fraction * len(block)))))
        chosen.append(block[np.argsort(rank[block], kind="stable")[:n_kept]])
    return np.sort(np.concatenate(chosen))


def restrict_folds(splits, samples, n_samples):
    """Restrict folds to a subset of the samples.

    Parameters
    ----------
    splits : list of (train, test)
        Folds of all samples.
    samples : ndarray of int
        The subset, ascending.
    n_samples : int
        Number of all samples.

    Returns
    -------
    list of (train, test)
        Index arrays into the subset.
    """
    position = np.full(n_samples, -1)
    position[samples] = np.arange(len(samples))
    return [
        tuple(position[part][position[part] >= 0] for part in split) for split in splits
    ]


def restrict_metadata(metadata, samples, n_samples):
    """Restrict metadata to a subset; entries without one value per sample are unchanged.

    Parameters
    ----------
    metadata : dict
        Metadata by name.
    samples : ndarray of int
        The subset.
    n_samples : int
        Number of all samples.

    Returns
    -------
    dict
        Metadata by name.
    """
    return {
        name: safe_indexing(values, samples) if _is_per_sample(values, n_samples) else values
        for name, values in metadata.items()
    }


def _is_per_sample(values, n_samples):
    if isinstance(values, (str, dict)) or not hasattr(values, "__len__"):
        return False
    return (values.shape[0] if getattr(values, "shape", ()) else len(values)) == n_samples


def price_of_candidate(objective, fraction, splits, takes_pass=True):
    """Estimate the price of a candidate in fits to all data.

    Both the number of rows and the size of the model grow with the fraction of the samples.

    Parameters
    ----------
    objective : str or callable
        Objective of the stage.
    fraction : float
        Fraction of the samples.
    splits : list of (train, test)
        The folds.
    takes_pass : bool, default=True
        Whether each candidate takes a pass over the data.

    Returns
    -------
    float
        The price: 1.3 for one pass, the sum of the shares of the training parts for "cv".
    """
    if objective == "cv":
        sizes = [len(train) + len(test) for train, test in splits]
        shares = [len(split[0]) / max(1, n) for split, n in zip(splits, sizes, strict=True)]
        return float(sum(shares)) * fraction**2
    one_pass = PRICE_OF_ONE_PASS if takes_pass else PRICE_WITHOUT_PASS
    return (one_pass if objective == "one_pass" else 1.0) * fraction**2
