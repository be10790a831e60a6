"""Neighbor pairs of a batch of structures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..utils.threads import ordered_map
from . import _candidates_cy, _pairs_cy

MIN_DISTANCE = 1e-3
"""Atoms closer than this, in angstrom, are taken for a mistake."""

MAX_DIRECT_CANDIDATES = 1000
"""Above this many atoms and images around a structure it is faster to sort them into boxes."""

CENTERS_PER_THREAD = 4096
"""Centers whose neighbors a thread searches for at a time."""

MAX_DENSITY = 0.18
"""Atoms per cubic angstrom of the densest matter under no great pressure: diamond has 0.176."""

MAX_CANDIDATES = 2e8
"""More atoms and images than this mean that the cutoff is a mistake."""


@dataclass
class Pairs:
    """Neighbors of centers, grouped by center and, within a center, by species.

    Attributes
    ----------
    offsets : ndarray of shape (n_centers + 1,)
        Center `k` owns the pairs ``offsets[k]`` to ``offsets[k + 1]``.
    neighbor : ndarray of shape (n_pairs,)
        Index of the neighboring atom among all atoms of the batch.
    displacement : ndarray of shape (n_pairs, 3)
        From the center to the neighbor, in angstrom.
    distance : ndarray of shape (n_pairs,)
        Length of the displacement.
    """

    offsets: np.ndarray
    neighbor: np.ndarray
    displacement: np.ndarray
    distance: np.ndarray

    @property
    def max_neighbors(self):
        """Largest number of neighbors of a center."""
        return int(np.maximum.reduce(self.offsets[1:] - self.offsets[:-1], initial=0))

    def take(self, part):
        """Pairs of a slice of the centers."""
        if part.stop - part.start == len(self.offsets) - 1:
            return self
        own = slice(self.offsets[part.start], self.offsets[part.stop])
        offsets = self.offsets[part.start : part.stop + 1] - own.start
        return Pairs(offsets, self.neighbor[own], self.displacement[own], self.distance[own])

    @classmethod
    def join(cls, parts):
        """Pairs of successive centers of the same atoms."""
        if len(parts) == 1:
            return parts[0]
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(counts)]),
            *(np.concatenate([getattr(part, name) for part in parts])
              for name in ("neighbor", "displacement", "distance")),
        )


def find_pairs(structures, cutoff, centers, species_index, n_threads=1):
    """Find all neighbors of some centers.

    Parameters
    ----------
    structures : Structures
        The batch.
    cutoff : float
        Pairs at this distance or beyond are left out, in angstrom.
    centers : ndarray of shape (n_centers,)
        Atoms whose neighbors are wanted, ascending.
    species_index : ndarray of shape (n_atoms,)
        Species of each atom as an index from 0, or -1 for atoms that are no neighbors.
    n_threads : int, default=1
        Threads to use.

    Returns
    -------
    Pairs
        Neighbors within the cutoff, periodic images (of the center, too) included.

    Raises
    ------
    ValueError
        If two atoms coincide, or the cutoff reaches an absurd number of images.
    """
    search = NeighborSearch(structures, cutoff, species_index)
    step = CENTERS_PER_THREAD if n_threads > 1 else max(len(centers), 1)
    chunks = [centers[k : k + step] for k in range(0, max(len(centers), 1), step)]
    return Pairs.join(list(ordered_map(search.pairs, chunks, n_threads)))


class NeighborSearch:
    """Structures prepared for a search of neighbors, some centers at a time.

    Parameters
    ----------
    structures, cutoff, species_index
        As for :func:`find_pairs`.
    first_structure : int, default=0
        Number of the first structure in messages.

    Raises
    ------
    ValueError
        If the cutoff reaches an absurd number of images.
    """

    def __init__(self, structures, cutoff, species_index, first_structure=0):
        self._structures, self._first = structures, first_structure
        self.compiled = _pairs_cy.NeighborSearch(
            structures.positions, structures.cells, structures.pbc, structures.offsets, cutoff
        )
        if not self.compiled.total < MAX_CANDIDATES:
            raise ValueError(
                f"cutoff={cutoff} reaches {self.compiled.total:.1e} periodic images of "
                f"{structures}; that many neighbors fit no memory: use a smaller cutoff or a "
                "sensible cell"
            )
        self.compiled.prepare(species_index, MAX_DIRECT_CANDIDATES)

    def pairs(self, centers):
        """Find the neighbors of some centers.

        Parameters
        ----------
        centers : ndarray of shape (n_centers,)
            Atoms, ascending.

        Returns
        -------
        Pairs
            As :func:`find_pairs` returns them.

        Raises
        ------
        ValueError
            If two atoms coincide.
        """
        *arrays, closest = self.compiled.search(centers)
        pairs = Pairs(*arrays)
        if closest < MIN_DISTANCE:
            self._refuse(centers, pairs)
        return pairs

    def check(self, centers, closest):
        """Refuse atoms that coincide, given the shortest distance."""
        if closest < MIN_DISTANCE:
            self.pairs(centers)

    def _refuse(self, centers, pairs):
        pair = int(np.argmin(pairs.distance))
        first = centers[np.searchsorted(pairs.offsets, pair, side="right") - 1]
        second = pairs.neighbor[pair]
        index = int(np.searchsorted(self._structures.offsets, first, side="right")) - 1
        start = self._structures.offsets[index]
        raise ValueError(
            f"atoms {first - start} and {second - start} of structure {self._first + index} are "
            f"{pairs.distance[pair]:.1e} angstrom apart, but atoms must be at least "
            f"{MIN_DISTANCE} apart; remove duplicate atoms or mend the cell"
        )


def bound_neighbors(structures, cutoff):
    """Bound the numbers of neighbors without searching.

    Parameters
    ----------
    structures : Structures
        The structures.
    cutoff : float
        In angstrom.

    Returns
    -------
    max_neighbors : int
        No atom has more neighbors, but in matter denser than any that is stable.
    counts : ndarray of shape (n_structures,)
        Candidates for the neighbors of each atom.
    """
    counts = np.asarray(_candidates_cy.Candidates(
        structures.positions, structures.cells, structures.pbc, structures.offsets, cutoff
    ).counts)
    sphere = 4 / 3 * np.pi * cutoff**3
    bulk = structures.pbc.all(axis=1)
    volumes = np.abs(np.linalg.det(structures.cells[bulk]))
    density = np.max(structures.n_atoms[bulk] / volumes, initial=0.0)
    bound = sphere * max(1.5 * density, MAX_DENSITY) + 8
    return int(min(bound, counts.max())), counts


def search_bytes(structures, cutoff, batches, n_centers, n_threads):
    """Memory that searches take, batch by batch, without searching.

    Parameters
    ----------
    structures, cutoff : object
        As for :func:`bound_neighbors`.
    batches : list of slice
        Structures that are prepared together.
    n_centers : int
        Centers whose neighbors are held at a time.
    n_threads : int
        Batches that are searched at a time.

    Returns
    -------
    max_neighbors : int
        As :func:`bound_neighbors` gives it.
    n_bytes : int
        At most what the prepared batches and the neighbors take.
    """
    max_neighbors, counts = bound_neighbors(structures, cutoff)
    atoms = max(structures.offsets[part.stop] - structures.offsets[part.start] for part in batches)
    candidates = max(counts[part].sum() for part in batches)
    # candidates, and copies of them while they are sorted into boxes
    boxed = 9 * counts.max() + 16 if counts.max() > MAX_DIRECT_CANDIDATES else 0
    prepared = 12 * atoms + 4 * candidates + boxed
    pairs = n_centers * (7 * max_neighbors + 2) + candidates
    return max_neighbors, int(8 * n_threads * (prepared + pairs))
