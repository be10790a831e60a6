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
        return int(np.diff(self.offsets).max(initial=0))


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
    box = _Candidates(structures, cutoff)
    direct = box.counts <= MAX_DIRECT_CANDIDATES
    if direct.all():
        pairs = _direct(structures, cutoff, centers, species_index, box, n_threads)
    else:
        pairs = _by_structure(structures, cutoff, centers, species_index, direct, n_threads)
    _check_distances(structures, centers, pairs)
    return pairs


class _Candidates:
    """How far images have to be looked for, structure by structure."""

    def __init__(self, structures, cutoff):
        n_structures = len(structures)
        self.margins = np.zeros((n_structures, 3))
        self.wrapped = structures.positions
        self.fractional = np.zeros_like(structures.positions)
        periodic = structures.pbc.any(axis=1)
        if periodic.any():
            cells = structures.cells * structures.pbc[:, :, None]
            reciprocal = _reciprocal(structures.cells, structures.pbc)
            # relative and absolute slack, so that rounding loses no neighbor
            widths = np.linalg.norm(reciprocal, axis=1)
            self.margins = cutoff * widths * (1 + 1e-9) + 1e-9 * structures.pbc
            index = structures.structure_index
            self.fractional = np.einsum("ia,iab->ib", structures.positions, reciprocal[index])
            shifts = np.floor(self.fractional)
            self.fractional -= shifts
            self.wrapped = structures.positions - np.einsum("ia,iab->ib", shifts, cells[index])
        self.bounds = np.empty((n_structures, 2, 3))
        self.counts = np.empty(n_structures, dtype=np.intp)
        total = _pairs_cy.count_candidates(
            self.fractional, self.margins, structures.offsets, self.bounds, self.counts
        )
        if not total < MAX_CANDIDATES:
            raise ValueError(
                f"cutoff={cutoff} reaches {total:.1e} periodic images of {structures}; that many "
                "neighbors fit no memory: use a smaller cutoff or a sensible cell"
            )


def _reciprocal(cells, pbc):
    """Columns b_a with a_c . b_a = 1 where a = c, else 0, in the span of the periodic a_c.

    The columns of open axes are zero, so that nothing is wrapped along them.
    """
    reciprocal = np.zeros_like(cells)
    patterns, which = np.unique(pbc, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        vectors = cells[which == index][:, pattern]
        metric = vectors @ vectors.transpose(0, 2, 1)
        part = np.zeros((len(vectors), 3, 3))
        part[:, :, pattern] = vectors.transpose(0, 2, 1) @ np.linalg.inv(metric)
        reciprocal[which == index] = part
    return reciprocal


def _direct(structures, cutoff, centers, species_index, box, n_threads):
    index = structures.structure_index
    known = np.flatnonzero(species_index >= 0)
    order = known[np.lexsort((species_index[known], index[known]))]
    order_offsets = np.searchsorted(index[order], np.arange(len(structures) + 1))
    starts = np.zeros(len(structures) + 1, dtype=np.intp)
    np.cumsum(box.counts, out=starts[1:])
    candidates = np.empty((3, max(starts[-1], 1)))
    atoms = np.empty(max(starts[-1], 1), dtype=np.intp)
    home = np.full(len(structures.positions), -1, dtype=np.intp)
    ends = np.empty(len(structures), dtype=np.intp)
    _pairs_cy.fill_candidates(
        box.wrapped, box.fractional, structures.cells, box.bounds, structures.offsets, order,
        order_offsets.astype(np.intp), starts, candidates, atoms, home, ends,
    )  # fmt: skip
    search = (candidates, starts, ends, home, centers, index[centers], cutoff)
    scratch = np.empty((n_threads, max(box.counts.max(initial=0), 1)))
    counts = np.empty(len(centers), dtype=np.intp)
    _pairs_cy.count_neighbors(box.wrapped, *search, scratch, counts)
    pairs = _empty_pairs(counts)
    _pairs_cy.fill_neighbors(
        box.wrapped, candidates, atoms, *search[1:], scratch,
        pairs.offsets, pairs.neighbor, pairs.displacement, pairs.distance,
    )  # fmt: skip
    return pairs


def _empty_pairs(counts):
    offsets = np.zeros(len(counts) + 1, dtype=np.intp)
    np.cumsum(counts, out=offsets[1:])
    n_pairs = offsets[-1]
    return Pairs(
        offsets, np.empty(n_pairs, dtype=np.intp), np.empty((n_pairs, 3)), np.empty(n_pairs)
    )


def _by_structure(structures, cutoff, centers, species_index, direct, n_threads):
    """Each structure by the method that suits its size."""
    search = NeighborList(cutoff=cutoff, full_list=True, n_threads=n_threads)
    counts, parts = [], []
    for s in range(len(structures)):
        start, stop = structures.offsets[s], structures.offsets[s + 1]
        own = centers[np.searchsorted(centers, start) : np.searchsorted(centers, stop)] - start
        if direct[s]:
            single = structures[s : s + 1]
            pairs = _direct(single, cutoff, own, species_index[start:stop],
                            _Candidates(single, cutoff), n_threads)
            counts.append(np.diff(pairs.offsets))
            parts.append((pairs.neighbor + start, pairs.displacement, pairs.distance))
            continue
        found, vectors, distances = search.compute(
            structures.positions[start:stop], structures.cells[s], structures.pbc[s],
            "PDd", copy=False,
        )  # fmt: skip
        slot = np.full(stop - start, -1, dtype=np.intp)
        slot[own] = np.arange(len(own))
        species = np.ascontiguousarray(species_index[start:stop])
        n_species = int(species.max(initial=0)) + 1
        count, *part = _pairs_cy.sort_pairs(
            found.view(np.intp), vectors, distances, slot, species, len(own), n_species, start
        )
        counts.append(count)
        parts.append(part)
    offsets = np.zeros(len(centers) + 1, dtype=np.intp)
    np.cumsum(np.concatenate(counts), out=offsets[1:])
    return Pairs(offsets, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _check_distances(structures, centers, pairs):
    if pairs.distance.min(initial=np.inf) >= MIN_DISTANCE:
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
