r"""Couplings of real spherical harmonics to rotation invariants of order 1 to 4.

Products :math:`A^1_{l_1 m_1} \dots A^\nu_{l_\nu m_\nu}` become invariant when they are contracted
with a generalized Clebsch-Gordan coefficient of total angular momentum zero:

.. math::

    \nu = 2:&\quad \tfrac{1}{\sqrt{2l+1}} \sum_m A^1_{lm} A^2_{lm} \\
    \nu = 3:&\quad \tfrac{1}{\sqrt{2l_3+1}} \sum_M (A^1_{l_1} \times A^2_{l_2})_{l_3 M}
        A^3_{l_3 M} \\
    \nu = 4:&\quad \tfrac{1}{\sqrt{2L+1}} \sum_M (A^1_{l_1} \times A^2_{l_2})_{L M}
        (A^3_{l_3} \times A^4_{l_4})_{L M}

Coefficients are orthonormal: the sum of their squares over all m is one. Only even
:math:`l_1 + \dots + l_\nu` survive an inversion of space.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache
from itertools import permutations
from math import copysign, factorial, prod, sqrt

import numpy as np

RANK = 1e-8
"""Squared norm below which what a coupling adds to others counts as nothing."""


def _complex_clebsch_gordan(l1, m1, l2, m2, big_l, m):
    """Clebsch-Gordan coefficient <l1 m1 l2 m2 | L m> by Racah's formula."""
    f = factorial
    squared = Fraction(
        (2 * big_l + 1) * f(l1 + l2 - big_l) * f(l1 - l2 + big_l) * f(-l1 + l2 + big_l)
        * f(big_l + m) * f(big_l - m) * f(l1 - m1) * f(l1 + m1) * f(l2 - m2) * f(l2 + m2),
        f(l1 + l2 + big_l + 1),
    )
    lowest = max(0, l2 - big_l - m1, l1 - big_l + m2)
    highest = min(l1 + l2 - big_l, l1 - m1, l2 + m2)
    total = Fraction(0)  # exact, as the terms cancel at large degrees
    for k in range(lowest, highest + 1):
        total += Fraction((-1) ** k, (
            f(k) * f(l1 + l2 - big_l - k) * f(l1 - m1 - k) * f(l2 + m2 - k)
            * f(big_l - l2 + m1 + k) * f(big_l - l1 - m2 + k)
        ))
    return copysign(sqrt(squared * total**2), total)


def _real_from_complex(l):
    """Matrix U of the real harmonics, y_m = sum_mu U[m, mu] Y_mu, in the package's convention."""
    U = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    U[l, l] = 1.0
    for m in range(1, l + 1):
        sign = (-1) ** m
        U[l + m, l + m], U[l + m, l - m] = sign / sqrt(2), 1 / sqrt(2)
        U[l - m, l + m], U[l - m, l - m] = -1j * sign / sqrt(2), 1j / sqrt(2)
    return U


@cache
def clebsch_gordan(l1, l2, big_l):
    """Coupling of two real tensors of degrees l1 and l2 to one of degree L.

    Parameters
    ----------
    l1, l2, big_l : int
        Degrees that form a triangle.

    Returns
    -------
    ndarray of shape (2 l1 + 1, 2 l2 + 1, 2 L + 1)
        Orthonormal: contracted over the first two axes with itself, it gives the identity.
    """
    C = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * big_l + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(-l2, l2 + 1):
            if abs(m1 + m2) <= big_l:
                C[l1 + m1, l2 + m2, big_l + m1 + m2] = _complex_clebsch_gordan(
                    l1, m1, l2, m2, big_l, m1 + m2
                )
    U1, U2, U = (_real_from_complex(l) for l in (l1, l2, big_l))
    C = np.einsum("Mz,xyz,ax,by->abM", U, C, U1.conj(), U2.conj(), optimize=True)
    # real where l1 + l2 + L is even, imaginary where it is odd: a phase makes it real
    C = C.real if (l1 + l2 + big_l) % 2 == 0 else C.imag
    C = np.where(np.abs(C) < 1e-13, 0.0, C)
    C.setflags(write=False)
    return C


def intermediates(degrees):
    """Intermediate degrees L with which given degrees couple to an invariant.

    Parameters
    ----------
    degrees : tuple of int
        One to four degrees.

    Returns
    -------
    list of tuple of int
        One tuple per coupling: ``(L,)`` for four degrees, ``()`` for fewer; an empty list where
        there is no inversion-even invariant.
    """
    if sum(degrees) % 2:
        return []
    if len(degrees) == 1:
        return [()] if degrees[0] == 0 else []
    if len(degrees) == 2:
        return [()] if degrees[0] == degrees[1] else []
    l1, l2, l3, *rest = degrees
    if not rest:
        return [()] if abs(l1 - l2) <= l3 <= l1 + l2 else []
    l4 = rest[0]
    return [(L,) for L in range(max(abs(l1 - l2), abs(l3 - l4)), min(l1 + l2, l3 + l4) + 1)]


@cache
def coupling_tensor(degrees, intermediate):
    """Dense generalized Clebsch-Gordan coefficient of one coupling.

    Parameters
    ----------
    degrees : tuple of int
        Degrees l_1 .. l_nu.
    intermediate : tuple of int
        As :func:`intermediates` gives it.

    Returns
    -------
    ndarray of shape (2 l_1 + 1, ..., 2 l_nu + 1)
        Of unit norm.
    """
    if len(degrees) == 1:
        return np.ones(1)
    if len(degrees) == 2:
        return np.eye(2 * degrees[0] + 1) / sqrt(2 * degrees[0] + 1)
    if len(degrees) == 3:
        return clebsch_gordan(*degrees) / sqrt(2 * degrees[2] + 1)
    (L,) = intermediate
    left, right = clebsch_gordan(*degrees[:2], L), clebsch_gordan(*degrees[2:], L)
    return np.einsum("abM,cdM->abcd", left, right) / sqrt(2 * L + 1)


@cache
def independent_intermediates(degrees, equal):
    """Couplings that stay linearly independent when some factors are the same tensor.

    The symmetric part of a coupling under exchange of equal factors is all that counts; from
    these parts an independent subset is taken that spans them all, the largest addition first.

    Parameters
    ----------
    degrees : tuple of int
        Degrees of the factors.
    equal : tuple of int
        Labels of the factors; those with the same label are one and the same tensor.

    Returns
    -------
    list of tuple of int
        The intermediates to keep, ascending.
    """
    every = intermediates(degrees)
    exchanges = [
        p for p in permutations(range(len(degrees)))
        if all(equal[a] == equal[b] for a, b in enumerate(p))
    ]
    if len(every) == 0 or len(exchanges) == 1:
        return every
    tensors = [coupling_tensor(degrees, intermediate) for intermediate in every]
    symmetric = [sum(t.transpose(p) for p in exchanges).ravel() / len(exchanges) for t in tensors]
    rest, kept = np.array(symmetric), []
    while True:
        sizes = np.round((rest**2).sum(axis=1), 9)  # rounded, so that ties go to the lowest L
        best = int(np.argmax(sizes))
        if sizes[best] <= RANK:
            return sorted(every[index] for index in kept)
        kept.append(best)
        direction = rest[best] / np.linalg.norm(rest[best])
        rest = rest - np.outer(rest @ direction, direction)


def n_orderings(labels):
    """Number of distinct orders in which labels can be written.

    Parameters
    ----------
    labels : sequence
        Labels, some of them equal.

    Returns
    -------
    int
        The multinomial coefficient.
    """
    return factorial(len(labels)) // prod(factorial(n) for n in Counter(labels).values())
