"""Derivatives of SOAP in all combinations of options, from one table of them.

The table names every parameter that chooses between code paths. Combinations are generated such
that every pair (`-m slow`: every triple) of values of two parameters occurs in one of them.
"""

import inspect
from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from helpers.derivatives import assert_second_order, displaced, strained

from skdesc import SOAPTransformer, Structures
from skdesc.density import RADIAL_BASES
from skdesc.invariants import COMPRESSIONS
from skdesc.neighbors import find_pairs

CUTOFF, WIDTH, N_MAX = 3.3, 0.45, 3
RADII = np.linspace(0, CUTOFF, 25)


def shells(x, n_max, l):
    """A basis of a user that depends on l."""
    return np.exp(-((x - CUTOFF * np.arange(n_max)[:, None] / n_max) ** 2)) * (1 + 0.1 * l * x)


TABLE = {
    "radial_basis": [*RADIAL_BASES, shells, np.vstack([RADII, shells(RADII, N_MAX, 0)])],
    "radial_scaling": [
        None, (1.3, 2.0, 4), {"function": "pow", "r0": 1.5, "m": 3},
        {"function": "exp", "r0": 2.0}, {"function": "poly", "r0": 2.9, "m": 2},
    ],
    "compression": list(COMPRESSIONS),
    "normalize": [True, False],
    "centers": [None, ["O", 6], "core", "indices"],
    "pooling": [None, "mean", "sum", "inner"],
    "cutoff_width": [WIDTH, 0.0, CUTOFF],
    "center_weight": [1.0, 0.0, 2.5],
    "handle_unknown": ["error", "ignore"],
    "dtype": ["float64", "float32"],
    "n_jobs": [1, 2],
    "n_max": [N_MAX],
    "l_max": [3, 0],
}
NUMBERS = {"species", "cutoff", "atom_sigma"}
"""Parameters that change numbers, not the code that runs."""


def tuples_gained(missing, row, column, size):
    """How many missing tuples each value of a parameter adds to a row."""
    gains = np.zeros(size)
    for columns, left in missing.items():
        if column in columns and all(c == column or c in row for c in columns):
            gains += left[tuple(row.get(c, slice(None)) for c in columns)]
    return gains


def all_tuples(sizes, strength):
    """A table of True for each choice of `strength` columns."""
    return {
        columns: np.ones([sizes[column] for column in columns], dtype=bool)
        for columns in combinations(range(len(sizes)), strength)
    }


def covering(strength):
    """Few combinations with every tuple of values of `strength` parameters."""
    names = list(TABLE)
    sizes = [len(TABLE[name]) for name in names]
    missing = all_tuples(sizes, strength)
    rng = np.random.default_rng(0)
    while any(left.any() for left in missing.values()):
        # begin with what is missing, then give each parameter the value that covers most
        columns, left = next(item for item in missing.items() if item[1].any())
        row = dict(zip(columns, np.argwhere(left)[0].tolist(), strict=True))
        for column in rng.permutation(len(names)).tolist():
            if column not in row:
                gains = tuples_gained(missing, row, column, sizes[column])
                row[column] = int(rng.choice(np.flatnonzero(gains == gains.max())))
        for columns, left in missing.items():
            left[tuple(row[c] for c in columns)] = False
        yield {name: TABLE[name][row[column]] for column, name in enumerate(names)}


def frames(unknown):
    """Open, periodic and partly periodic structures; a lonely atom; marks of some atoms."""
    rng = np.random.default_rng(0)
    result = [
        molecule("CH3OH"),
        Atoms("CO", [[0, 0, 0], [1.0, 1.3, 0.2]], cell=[[2.6, 0.3, 0], [0.8, 2.9, 0], [0, 1, 2.7]],
              pbc=True),
        Atoms("OC", [[0, 0, 0], [1.1, 0.3, 0.9]], cell=[[3.0, 0, 0], [0, 0, 0], [0, 0, 2.8]],
              pbc=[True, False, True]),
        Atoms("O", [[1.0, 2.0, 3.0]]),
        molecule("H2"),
    ]
    if unknown:
        result.append(molecule("CH3NO2"))
    for index, atoms in enumerate(result):
        atoms.positions += rng.normal(0, 0.03, atoms.positions.shape)
        atoms.set_array("core", (np.arange(len(atoms)) % 2 == 0) & (index != 4))
    return result


def test_no_pair_is_where_second_derivatives_jump():
    """There, central differences would be of first order only."""
    for atoms in frames(unknown=True):
        every, species = np.arange(len(atoms)), np.zeros(len(atoms), dtype=np.intp)
        pairs = find_pairs(Structures.from_atoms([atoms]), CUTOFF + 0.1, every, species)
        for distance in (CUTOFF, CUTOFF - WIDTH, 2.9):
            assert np.abs(pairs.distance - distance).min(initial=9) > 0.01


def test_the_table_names_every_parameter():
    assert set(inspect.signature(SOAPTransformer).parameters) == set(TABLE) | NUMBERS


def check(options):
    """Values, adjoint, Jacobian: against differences, and against one another."""
    options = dict(options)
    structures = frames(unknown=options["handle_unknown"] == "ignore")
    if isinstance(options["centers"], str) and options["centers"] == "indices":
        options["centers"] = [
            np.flatnonzero(atoms.arrays["core"]).tolist() for atoms in structures
        ]
    structures = Structures.from_atoms(structures, extra_arrays=["core"])
    soap = SOAPTransformer(["H", "C", "O"], cutoff=CUTOFF, atom_sigma=0.55, **options)
    values, gradient, strain_gradient, g, owner = derivatives(soap, structures)
    assert values.dtype == options["dtype"]
    assert np.isfinite(values).all()
    if options["normalize"] and options["pooling"] is None:
        norms = np.linalg.norm(values, axis=1)
        assert (np.isclose(norms, 1, atol=1e-6) | (norms == 0)).all()
    exact = SOAPTransformer(**{**soap.get_params(), "dtype": "float64"}).fit(structures)

    def energies(moved):
        rows = exact.transform(moved)
        rows = rows if exact.pooling is not None else rows.values
        return np.bincount(owner, (rows * g).sum(axis=1), len(structures))

    scale = np.abs(values).max()
    reference = exact.transform(structures)
    reference = reference if exact.pooling is not None else reference.values
    np.testing.assert_allclose(values, reference, rtol=0, atol=1e-6 * scale)
    rng = np.random.default_rng(2)
    direction, strain = rng.normal(size=structures.positions.shape), rng.normal(size=(3, 3))
    slopes = np.add.reduceat((gradient * direction).sum(axis=1), structures.offsets[:-1])
    assert_second_order(
        slopes, energies, lambda step: displaced(structures, direction, step), [2e-3, 1e-3]
    )
    slopes = np.einsum("sab,ba->s", strain_gradient, strain)
    assert_second_order(
        slopes, energies, lambda step: strained(structures, strain, step), [1e-3, 5e-4]
    )


def derivatives(soap, structures):
    """Values, adjoint of a random function, that function, and whose each row is."""
    features = soap.fit_transform(structures)
    rng = np.random.default_rng(1)
    if soap.pooling is not None:
        g = rng.normal(size=features.shape)
        return features, *soap.pooled_vjp(structures, g), g, np.arange(len(structures))
    g = rng.normal(size=features.values.shape)
    gradient, strain_gradient = features.vjp(g)
    owner = np.repeat(np.arange(len(structures)), np.diff(features.offsets))
    jacobian = features.jacobian(strain=True)
    # single precision features stand in the Jacobian where normalization acts along them
    tolerance = 1e-10 if soap.dtype == "float64" else 1e-6
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(jacobian.vjp(g), gradient, rtol=0, atol=tolerance * scale)
    by_center = np.einsum("iabf,if->iab", jacobian.strain, g)
    by_structure = np.zeros((len(structures), 3, 3))
    np.add.at(by_structure, owner, by_center)
    scale = np.abs(strain_gradient).max()
    np.testing.assert_allclose(by_structure, strain_gradient, rtol=0, atol=tolerance * scale)
    weights = rng.normal(size=(len(g), 2))
    rows, _ = features.gradient_rows(g[:2], weights)
    expected = features.vjp(weights[:, 1:] * g[1])[0]
    np.testing.assert_allclose(
        rows[..., 1], expected, rtol=0, atol=tolerance * np.abs(expected).max()
    )
    return features.values, gradient, strain_gradient, g, owner


def name(options):
    """Identify a combination."""
    texts = []
    for key, value in options.items():
        text = getattr(value, "__name__", "table" if isinstance(value, np.ndarray) else value)
        texts.append(value["function"] if isinstance(value, dict) else f"{key[:2]}={text}")
    return " ".join(map(str, texts))


@pytest.mark.parametrize("options", list(covering(2)), ids=name)
def test_pairs_of_options(options):
    check(options)


@pytest.mark.slow
def test_triples_of_options():
    for options in covering(3):
        try:
            check(options)
        except AssertionError as error:
            raise AssertionError(f"{name(options)}: {error}") from error
