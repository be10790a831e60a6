"""Searches on some of the samples: which, and what a candidate then costs."""

from __future__ import annotations

import numpy as np

from ..utils._sklearn_compat import safe_indexing
from ..utils.folds import split_blocks

# a smaller part ranks candidates by chance
_FEWEST_SAMPLES = 150
_FACTOR = 3
_MOST_STEPS = 2
# price of a candidate in fits to all the data: one pass yields all folds, or each fold is a fit
PRICE_OF_ONE_PASS = 1.3
# of one among about ten that share a pass
PRICE_WITHOUT_PASS = 0.2


def choose_fractions(n_samples):
    """Parts of the samples on which candidates are compared, ascending, the last one 1.

    Parameters
    ----------
    n_samples : int
        Number of samples.

    Returns
    -------
    list of float
        Each three times the one before, and none with fewer than 150 samples.
    """
    steps = range(_MOST_STEPS, 0, -1)
    return [_FACTOR**-step for step in steps if n_samples * _FACTOR**-step >= _FEWEST_SAMPLES] + [1]


def choose_samples(splits, n_samples, fraction, seed):
    """Samples of a part; those of a smaller part are among them.

    Parameters
    ----------
    splits : list of (train, test)
        The folds; each keeps the same share of what is in its parts.
    n_samples : int
        Number of samples.
    fraction : float
        Which part of the samples.
    seed : int
        Decides which.

    Returns
    -------
    ndarray of int
        Ascending.
    """
    rank = np.random.RandomState(seed).permutation(n_samples)
    chosen = []
    for block in split_blocks([part for split in splits for part in split], n_samples):
        n_kept = min(len(block), max(2, int(np.ceil(fraction * len(block)))))
        chosen.append(block[np.argsort(rank[block], kind="stable")[:n_kept]])
    return np.sort(np.concatenate(chosen))


def restrict_folds(splits, samples, n_samples):
    """Folds of some of the samples, as indices among these.

    Parameters
    ----------
    splits : list of (train, test)
        Folds of all samples.
    samples : ndarray of int
        Those that are kept, ascending.
    n_samples : int
        Number of all samples.

    Returns
    -------
    list of (train, test)
        Index arrays.
    """
    position = np.full(n_samples, -1)
    position[samples] = np.arange(len(samples))
    return [
        tuple(position[part][position[part] >= 0] for part in split) for split in splits
    ]


def restrict_metadata(metadata, samples, n_samples):
    """Entries of some of the samples; what has not one entry per sample stays as it is.

    Parameters
    ----------
    metadata : dict
        By name.
    samples : ndarray of int
        Those that are kept.
    n_samples : int
        Number of all samples.

    Returns
    -------
    dict
        By name.
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
    """What a candidate costs, in fits to all the data.

    Both the rows of the data and the size of what is fitted to them grow with the part.

    Parameters
    ----------
    objective : str or callable
        Of the stage.
    fraction : float
        Part of the samples.
    splits : list of (train, test)
        The folds.
    takes_pass : bool, default=True
        Whether each candidate takes a pass over the data.

    Returns
    -------
    float
        An estimate: 1.3 for one pass, the sum of the shares of the training parts for "cv".
    """
    if objective == "cv":
        sizes = [len(train) + len(test) for train, test in splits]
        shares = [len(split[0]) / max(1, n) for split, n in zip(splits, sizes, strict=True)]
        return float(sum(shares)) * fraction**2
    one_pass = PRICE_OF_ONE_PASS if takes_pass else PRICE_WITHOUT_PASS
    return (one_pass if objective == "one_pass" else 1.0) * fraction**2
