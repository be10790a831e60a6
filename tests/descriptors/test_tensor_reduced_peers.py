"""TensorReducedTransformer against quippy's tensor-reduced SOAP."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.data import atomic_numbers

from skdesc import TensorReducedTransformer


def drawn_by_quip(number, factor, n_max, n_channels, shift=0):
    """Weights of one element and factor, as the tensor-reduced SOAP of QUIP draws them.

    Deviates of the polar method, the first of each pair, from the minimal standard generator,
    whose first hundred numbers are thrown away.
    """
    state = number + shift + 200 * factor

    def uniform():
        nonlocal state
        state = 16807 * state % (2**31 - 1)
        return state / (2**31 - 1)

    for _ in range(100):
        uniform()
    weights = []
    while len(weights) < n_max * n_channels:
        x, y = 2 * uniform() - 1, 2 * uniform() - 1
        square = x * x + y * y
        if 0 < square < 1:
            weights.append(x * np.sqrt(-2 * np.log(square) / square))
    return np.reshape(weights, (n_max, n_channels))


def distorted(name):
    if name == "TiNbV":
        atoms = bulk("Ti", "bcc", 3.2, cubic=True).repeat((2, 2, 1))
        atoms.numbers[:] = [atomic_numbers[x] for x in ("Ti", "V", "Nb", "V", "Nb", "Ti", "V", "V")]
        atoms.rattle(0.1, seed=1)
        return atoms
    atoms = molecule("CH3CH2OH", vacuum=6.0)
    atoms.rattle(0.05, seed=2)
    return atoms


@pytest.mark.parametrize("symmetric", [False, True], ids=["sketch", "decomposition"])
@pytest.mark.parametrize("name", ["TiNbV", "ethanol"])
def test_same_as_quippy_with_its_weights(name, symmetric):
    descriptors = pytest.importorskip("quippy.descriptors")
    n_max, l_max, n_channels, cutoff = 5, 4, 7, 4.2
    atoms = distorted(name)
    species = np.unique(atoms.numbers)
    listed = " ".join(str(z) for z in species)
    theirs = descriptors.Descriptor(
        f"soap cutoff={cutoff} cutoff_transition_width=0.6 n_max={n_max} l_max={l_max} "
        f"atom_sigma=0.5 n_species={len(species)} species_Z={{{listed}}} n_Z={len(species)} "
        f"Z={{{listed}}} R_mix=T Z_mix=T sym_mix={'T' if symmetric else 'F'} coupling=F "
        f"K={n_channels}"
    ).calc(atoms)["data"]
    factors = (1,) if symmetric else (1, 2)
    weights = [[drawn_by_quip(z, t, n_max, n_channels) for z in species] for t in factors]
    ours = TensorReducedTransformer(
        species, cutoff=cutoff, cutoff_width=0.6, n_max=n_max, l_max=l_max, atom_sigma=0.5,
        radial_scaling=None,
        radial_basis="equispaced", n_channels=n_channels, weights=np.array(weights),
        scheme="decomposition" if symmetric else "sketch",
    ).fit_transform([atoms]).values
    # theirs end with a constant, and have l fastest
    theirs = theirs[:, :-1].reshape(len(ours), n_channels, l_max + 1).transpose(0, 2, 1)
    assert ours.shape == (len(atoms), n_channels * (l_max + 1))
    np.testing.assert_allclose(ours, theirs.reshape(ours.shape), atol=1e-8)


@pytest.mark.parametrize(("number", "factor", "expected"), [
    (23, 1, [[1.05674018, -1.79682322, 0.58801702, -0.37094255],
             [1.4343522, -0.67410551, 2.06514836, -0.21261229]]),
])
def test_the_draw_of_weights(number, factor, expected):
    np.testing.assert_allclose(drawn_by_quip(number, factor, 2, 4), expected, atol=1e-8)
