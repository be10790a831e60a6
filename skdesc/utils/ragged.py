"""Feature matrices for kernels between samples that are sets of rows."""

from __future__ import annotations

import numpy as np
from scipy import sparse

EXPONENTS = (1, 2, 4)
"""Exponents of dot products that are tried as kernels between rows."""

# number of representative rows
_N_REFERENCES = 300


def is_ragged(Z):
    """Whether features are a container of ragged rows."""
    return hasattr(Z, "values") and hasattr(Z, "offsets")


class RaggedRows:
    """Rows of many samples, at unit length, each row with a label.

    Parameters
    ----------
    Z : container of ragged features
        Container with the rows ``values``, the range ``offsets`` of each sample's rows and,
        optionally, ``species``, a label of each row.
    """

    def __init__(self, Z):
        self._counts = np.diff(Z.offsets)
        n_samples, n_rows = len(self._counts), len(Z.values)
        norms = np.linalg.norm(Z.values, axis=1, keepdims=True)
        self._unit = Z.values / np.where(norms > 0, norms, 1.0)
        sample = np.repeat(np.arange(n_samples), self._counts)
        self.membership = sparse.csr_array(
            (np.ones(n_rows), (sample, np.arange(n_rows))), shape=(n_samples, n_rows)
        )
        self.per_row = np.maximum(self._counts, 1)[:, np.newaxis]
        self._labels = getattr(Z, "species", None)

    def targets(self, targets):
        """Targets per row, minus a linear model of the number of rows of each label."""
        if self._labels is not None:
            present, code = np.unique(self._labels, return_inverse=True)
            composition = self.membership @ np.eye(len(present))[code]
            known = np.isfinite(targets).all(axis=1)
            model = np.linalg.lstsq(composition[known], targets[known], rcond=None)[0]
            targets = targets - composition @ model
        return targets / self.per_row

    def mean_rows(self):
        """Mean of the rows of each sample."""
        return (self.membership @ self._unit) / self.per_row

    def kernel_rows(self, exponent):
        """Features of samples whose dot products approximate a kernel of samples.

        The kernel is the mean, over pairs of rows with the same label, of a power of their
        dot product, approximated by rows that are spread evenly over the data.
        """
        blocks = [
            self.membership[:, members] @ ((self._unit[members] @ references.T) ** exponent @ half)
            for members, references, half in self.references(self._unit, exponent, _N_REFERENCES)
        ]
        return np.hstack(blocks) / self.per_row

    def references(self, rows, exponent, n_references):
        """Representative rows of each label.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Rows of all samples.
        exponent : int
            Power of the dot product that is the kernel.
        n_references : int
            Largest number of representative rows, spread evenly over all rows.

        Yields
        ------
        members : ndarray of int
            Rows of a label.
        references : ndarray of shape (n_references, n_features)
            Representative rows.
        half : ndarray of shape (n_references, rank)
            Factor that whitens kernels with the representative rows.
        """
        labels = np.zeros(len(rows)) if self._labels is None else self._labels
        step = max(1, -(-len(labels) // n_references))
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            references = rows[members[::step]]
            spectrum, basis = np.linalg.eigh((references @ references.T) ** exponent)
            kept = spectrum > 1e-10 * spectrum.max()
            yield members, references, basis[:, kept] / np.sqrt(spectrum[kept])
