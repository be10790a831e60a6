"""Neighbor pairs of a batch of structures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from vesin import NeighborList

from . import _pairs_cy

MIN_DISTANCE = 1e-3
"""Atoms closer than this, in angstrom, are taken for a mistake."""

MAX_DIRECT_CANDIDATES = 20_000
"""Above this many atoms and images around a structure vesin's cell list is faster."""

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
    candidates = _candidates(structures, cutoff)
    if candidates.largest <= MAX_DIRECT_CANDIDATES:
        pairs = Pairs(*candidates.search(species_index, centers, n_threads))
    else:
        pairs = _by_structure(
            structures, cutoff, centers, species_index, candidates.counts, n_threads
        )
    _check_distances(structures, centers, pairs)
    return pairs


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
    counts = np.asarray(_pairs_cy.Candidates(
        structures.positions, structures.cells, structures.pbc, structures.offsets, cutoff
    ).counts)  # fmt: skip
    sphere = 4 / 3 * np.pi * cutoff**3
    bulk = structures.pbc.all(axis=1)
    volumes = np.abs(np.linalg.det(structures.cells[bulk]))
    density = np.max(structures.n_atoms[bulk] / volumes, initial=0.0)
    bound = sphere * max(1.5 * density, MAX_DENSITY) + 8
    return int(min(bound, counts.max())), counts


def search_bytes(structures, cutoff, batches, n_threads):
    """Memory that neighbors take where they are searched for batch by batch, without searching.

    Parameters
    ----------
    structures, cutoff : object
        As for :func:`bound_neighbors`.
    batches : list of slice
        Structures whose neighbors are searched for at a time.
    n_threads : int
        Threads of the search.

    Returns
    -------
    max_neighbors : int
        As :func:`bound_neighbors` gives it.
    n_bytes : int
        At most what the search takes, with the pairs of one batch and of that before.
    """
    max_neighbors, counts = bound_neighbors(structures, cutoff)
    atoms = max(structures.offsets[part.stop] - structures.offsets[part.start] for part in batches)
    direct = np.minimum(counts, MAX_DIRECT_CANDIDATES)
    candidates = max(direct[part].sum() for part in batches)
    # displacement, distance, neighbor: of two batches, or with vesin's and those of single ones
    copies = 2 if counts.max() <= MAX_DIRECT_CANDIDATES else 4
    doubles = 4 * candidates + atoms * (5 * copies * max_neighbors + max(64, max_neighbors) + 32)
    return max_neighbors, int(8 * doubles + 4 * n_threads * (direct.max() + 24))


def _candidates(structures, cutoff):
    candidates = _pairs_cy.Candidates(
        structures.positions, structures.cells, structures.pbc, structures.offsets, cutoff
    )
    if not candidates.total < MAX_CANDIDATES:
        raise ValueError(
            f"cutoff={cutoff} reaches {candidates.total:.1e} periodic images of {structures}; that "
            "many neighbors fit no memory: use a smaller cutoff or a sensible cell"
        )
    return candidates


def _by_structure(structures, cutoff, centers, species_index, n_candidates, n_threads):
    """Each structure by the method that suits its size."""
    n_species = int(species_index.max(initial=0)) + 1
    search = NeighborList(cutoff=cutoff, full_list=True, n_threads=n_threads)
    counts, parts = [], []
    for s in range(len(structures)):
        start, stop = structures.offsets[s], structures.offsets[s + 1]
        own = centers[np.searchsorted(centers, start) : np.searchsorted(centers, stop)] - start
        species = np.ascontiguousarray(species_index[start:stop])
        if n_candidates[s] <= MAX_DIRECT_CANDIDATES:
            single = _candidates(structures[s : s + 1], cutoff)
            offsets, neighbor, *part = single.search(species, own, n_threads)
            counts.append(np.diff(offsets))
            parts.append((neighbor + start, *part))
            continue
        found, vectors, distances = search.compute(
            structures.positions[start:stop], structures.cells[s], structures.pbc[s],
            "PDd", copy=False,
        )  # fmt: skip
        slot = np.full(stop - start, -1, dtype=np.intp)
        slot[own] = np.arange(len(own))
        count, *part = _pairs_cy.sort_pairs(
            found.view(np.intp), vectors, distances, slot, species, len(own), n_species, start
        )
        counts.append(count)
        parts.append(part)
    offsets = np.zeros(len(centers) + 1, dtype=np.intp)
    np.cumsum(np.concatenate(counts), out=offsets[1:])
    return Pairs(offsets, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _check_distances(structures, centers, pairs):
    if np.minimum.reduce(pairs.distance, initial=np.inf) >= MIN_DISTANCE:
        return
    pair = int(np.argmin(pairs.distance))
    first = centers[np.searchsorted(pairs.offsets, pair, side="right") - 1]
    second = pairs.neighbor[pair]
    index = int(np.searchsorted(structures.offsets, first, side="right")) - 1
    start = structures.offsets[index]
    raise ValueError(
        f"atoms {first - start} and {second - start} of structure {index} are "
        f"{pairs.distance[pair]:.1e} angstrom apart, but atoms must be at least {MIN_DISTANCE} "
        "apart; remove duplicate atoms or mend the cell"
    )
