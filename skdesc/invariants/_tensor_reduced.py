"""Tensor-reduced invariants: enumeration, names, and tables of products."""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from math import comb
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols

from ._couplings import (
    clebsch_gordan,
    independent_intermediates,
    intermediates,
    n_orderings,
)
from ._products import gather_products
from ._tensor_reduced_cy import TensorReducedInvariant

PADDING = 8
"""Channels come in multiples of this."""

MAX_TERMS = 10**6
"""Most products per channel for which tables are made."""


class Term(NamedTuple):
    """One invariant of every channel: a product of factors, coupled."""

    degrees: tuple
    """l of each factor."""
    unmixed: tuple
    """Index of each factor that is not mixed over: of a radial function or a species; else 0."""
    factors: tuple
    """Which weights mix each factor."""
    intermediate: tuple
    """Intermediate L of the coupling, where there is one."""
    weight: float
    """Square root of the number of orders in which these factors occur in the full tensor."""


class TensorReduced:
    """Layout of tensor-reduced invariants.

    Features are ordered by order, then coupling, then channel.

    Parameters
    ----------
    species : sequence of int
        Atomic numbers, ascending.
    n_max, l_max : int
        Number of radial functions, and largest angular momentum (included).
    n_channels : int
        Number of channels that each factor mixes into.
    orders : sequence of int
        Correlation orders, ascending, from 1 to 4.
    sketch : bool
        Whether every factor has weights of its own; otherwise all share the same.
    reduce : sequence of str
        What is mixed: "species", "radial" or both.
    """

    def __init__(self, species, *, n_max, l_max, n_channels, orders, sketch, reduce):
        self.species = [int(number) for number in species]
        self.n_max = n_max
        self.l_max = l_max
        self.n_channels = n_channels
        self.orders = tuple(orders)
        self.sketch = sketch
        self.reduce = frozenset(reduce)
        if len(self.reduce) == 2:
            self.n_unmixed = 1
        else:
            self.n_unmixed = n_max if "species" in self.reduce else len(self.species)
        self.n_factors = max(self.orders) if sketch else 1
        self._refuse_too_many()
        self.terms = [term for order in self.orders for term in self._terms(order)]

    @property
    def n_features(self):
        """Number of features."""
        return self.n_channels * len(self.terms)

    def _refuse_too_many(self):
        """Bound the number of products before they are enumerated."""
        order = max(self.orders)
        slots = (self.l_max + 1) * self.n_unmixed
        bound = comb(slots + order - 1, order) if order > 2 else self.n_unmixed**2 * self.l_max
        if bound > MAX_TERMS:
            raise ValueError(
                f"correlation_order={order} with l_max={self.l_max} and reduce="
                f"{sorted(self.reduce)!r} would have some {bound:.1g} products per channel; lower "
                "the order or l_max, or reduce over both species and radial"
            )

    def _terms(self, order):
        degrees = range(self.l_max + 1)
        if self.sketch:
            # all orders of the degrees estimate the same part of the full tensor, so one suffices
            for ls in combinations_with_replacement(degrees, order):
                for inner in intermediates(ls):
                    for us in product(range(self.n_unmixed), repeat=order):
                        weight = np.sqrt(n_orderings(ls))
                        yield Term(ls, us, tuple(range(order)), inner, weight)
            return
        slots = list(product(degrees, range(self.n_unmixed)))
        for chosen in combinations_with_replacement(slots, order):
            ls, us = zip(*chosen, strict=True)
            equal = tuple(chosen.index(slot) for slot in chosen)
            for inner in independent_intermediates(ls, equal):
                yield Term(ls, us, (0,) * order, inner, np.sqrt(n_orderings(chosen)))

    def names(self):
        """Names such as ``tr2_k1_l3`` or ``tr4_k1_l1_l1_l2_l2_L0``."""
        names = []
        for term in self.terms:
            order = len(term.degrees)
            label = "".join(f"_{name}" for name in self._unmixed_names(term.unmixed))
            degrees = term.degrees[:1] if order == 2 else term.degrees if order > 2 else ()
            label += "".join(f"_l{l}" for l in degrees)
            label += "".join(f"_L{L}" for L in term.intermediate)
            names += [f"tr{order}_k{k + 1}{label}" for k in range(self.n_channels)]
        return np.array(names, dtype=object)

    def _unmixed_names(self, indices):
        if len(self.reduce) == 2:
            return []
        if "species" in self.reduce:
            return [f"n{index + 1}" for index in indices]
        return [chemical_symbols[self.species[index]] for index in indices]

    def with_all_axes(self, weights, per_l):
        """View mixing weights with all five axes.

        Parameters
        ----------
        weights : ndarray
            Weights without the axes that are not mixed or, for l, shared.
        per_l : bool
            Whether every l has weights of its own.

        Returns
        -------
        ndarray of shape (n_factors, l, species, n, n_channels)
            Axes that are not there have length one.
        """
        if not per_l:
            weights = weights[:, None]
        if "species" not in self.reduce:
            weights = weights[:, :, None]
        if "radial" not in self.reduce:
            weights = weights[:, :, :, None]
        return weights

    def columns(self, weights):
        """Weights as the expansion takes them: channels padded, factors side by side.

        Parameters
        ----------
        weights : ndarray of shape (n_factors, l, species, n, n_channels)
            Mixing weights; axes of length one are shared.

        Returns
        -------
        ndarray of shape (species, l, n, n_factors * padded channels)
            The same, zeros beyond the channels.
        """
        padded = -(-self.n_channels // PADDING) * PADDING
        moved = weights.transpose(2, 1, 3, 0, 4)
        result = np.zeros((*moved.shape[:4], padded))
        result[..., : self.n_channels] = moved
        return result.reshape(*moved.shape[:3], -1)

    def from_columns(self, columns):
        """Undo `columns`.

        Parameters
        ----------
        columns : ndarray of shape (species, l, n, n_factors * padded channels)
            What `columns` gives, or derivatives by it.

        Returns
        -------
        ndarray of shape (n_factors, l, species, n, n_channels)
            The same without the padding.
        """
        shape = (*columns.shape[:3], self.n_factors, -1)
        return columns.reshape(shape)[..., : self.n_channels].transpose(3, 1, 0, 2, 4)

    def invariant(self, expansion, normalize):
        """Return the compiled invariant for an expansion."""
        return TensorReducedInvariant(expansion, self, normalize)

    @property
    def n_rows(self):
        """Number of mixed coefficients per channel."""
        return (self.l_max + 1) ** 2 * self.n_factors * self.n_unmixed

    def row(self, degree, factor, unmixed):
        """Row of the coefficient m = -l of a factor, and the step from one m to the next."""
        step = self.n_factors * self.n_unmixed
        return degree**2 * step + unmixed * self.n_factors + factor, step

    def products(self):
        """Tables that make the features from rows of coefficients, channel by channel.

        Rows are the mixed coefficients (l m, unmixed, factor), then pairs of them coupled to
        some L, then a row of ones.

        Returns
        -------
        pairs, features : Products
            How the coupled pairs follow from the coefficients, and the features from both.
        """
        pairs = _PairRows(self)
        scale = np.pi * np.sqrt(8 / self.n_channels)
        features = [self._feature(term, pairs, scale * term.weight) for term in self.terms]
        one = self.n_rows + pairs.n_rows
        features = [(a, np.full_like(a, one) if b is None else b, w) for a, b, w in features]
        return _gather(pairs.entries), _gather(features)

    def _feature(self, term, pairs, weight):
        """Rows to multiply, and weights, for one invariant."""
        slots = list(zip(term.degrees, term.factors, term.unmixed, strict=True))
        rows = []
        for slot in slots:
            first, step = self.row(*slot)
            rows.append(first + step * np.arange(2 * slot[0] + 1))
        if len(slots) == 1:
            return rows[0], None, np.full(1, weight)
        if len(slots) == 2:
            left, right = rows
        elif len(slots) == 3:
            left, right = pairs(slots[0], slots[1], slots[2][0]), rows[2]
        else:
            (L,) = term.intermediate
            left, right = pairs(slots[0], slots[1], L), pairs(slots[2], slots[3], L)
        return left, right, np.full(len(left), weight / np.sqrt(len(left)))


class _PairRows:
    """Rows of coupled pairs, each made once."""

    def __init__(self, layout):
        self.layout = layout
        self.first = {}
        self.entries = []

    @property
    def n_rows(self):
        return len(self.entries)

    def __call__(self, left, right, big_l):
        """Rows M = -L .. L of two slots (l, factor, unmixed) coupled to L."""
        key = (left, right, big_l)
        if key not in self.first:
            self.first[key] = self.layout.n_rows + len(self.entries)
            C = clebsch_gordan(left[0], right[0], big_l)
            (start_a, step_a), (start_b, step_b) = self.layout.row(*left), self.layout.row(*right)
            for M in range(2 * big_l + 1):
                a, b = np.nonzero(C[:, :, M])
                self.entries.append((start_a + step_a * a, start_b + step_b * b, C[a, b, M]))
        return self.first[key] + np.arange(2 * big_l + 1)


def _gather(parts):
    """Join the products of all rows, equal products of one row once."""
    if not parts:
        return gather_products(*(np.empty(0, dtype=np.int32) for _ in range(3)), np.empty(0), 0)
    sizes = [len(a) for a, _, _ in parts]
    o = np.repeat(np.arange(len(parts)), sizes)
    a, b, w = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return gather_products(o, np.minimum(a, b), np.maximum(a, b), w, len(parts))
