"""Learning the difference to a calculator."""

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from helpers.toy_data import make_frames, reference

from skdesc import GAPRegressor, check_structures
from skdesc.calculator import ZBLCalculator
from skdesc.gaussian_process._baseline import evaluate_baseline


@pytest.fixture(scope="module", params=["zbl", "one-by-one"])
def baseline(request):
    if request.param == "zbl":
        # far-reaching, for there to be something to subtract
        return ZBLCalculator(scale=2.0)
    return LennardJones(sigma=1.0, epsilon=0.05, rc=4.0, smooth=True)


def test_a_baseline_is_subtracted_and_added(baseline, features, frames, targets):
    y, derivatives = targets
    energies, forces, virials = evaluate_baseline(
        baseline, features.structures, forces=True, virials=True
    )
    shifted = {
        "forces": [f + b for f, b in zip(derivatives["forces"], forces, strict=True)],
        "virials": derivatives["virials"] + virials,
    }
    shifted["forces"][3] = None
    plain = GAPRegressor(n_sparse=6).fit(
        features, y, forces=[*derivatives["forces"][:3], None, *derivatives["forces"][4:]],
        virials=derivatives["virials"],
    )
    gap = GAPRegressor(n_sparse=6, baseline=baseline).fit(features, y + energies, **shifted)
    np.testing.assert_allclose(gap.weights_, plain.weights_, rtol=1e-5)
    expected = plain.predict(features, True, True, True)
    got = gap.predict(features, True, True, True)
    np.testing.assert_allclose(got[0], expected[0] + energies, rtol=1e-9)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-5)
    np.testing.assert_allclose(
        np.concatenate(got[2]), np.concatenate(expected[2]) + np.concatenate(forces), atol=1e-7
    )
    np.testing.assert_allclose(got[3], expected[3] + virials, atol=1e-7)
    np.testing.assert_array_equal(gap.predict(features), got[0])
    local = gap.predict_local_energies(features)
    np.testing.assert_allclose(np.add.reduceat(local, features.offsets[:-1]), got[0], rtol=1e-9)


def test_virials_of_molecules(baseline):
    """Derivatives by strain, whether or not the calculator has a stress for molecules."""
    structures = check_structures(make_frames(4, seed=1))
    virials = evaluate_baseline(baseline, structures, virials=True)[2]
    strain = np.random.RandomState(0).normal(size=(3, 3))
    strain += strain.T

    def energies(step):
        F = np.eye(3) + step * strain
        moved = structures.with_positions(structures.positions @ F, structures.cells @ F)
        return evaluate_baseline(baseline, moved)[0]

    numeric = -(energies(1e-5) - energies(-1e-5)) / 2e-5
    np.testing.assert_allclose(
        np.einsum("sxy,xy->s", virials, strain), numeric, rtol=1e-5, atol=1e-6
    )


def test_repulsion_where_there_are_no_data(toy):
    """Far inside the core the model knows nothing; the baseline still repels."""
    frames = make_frames(20, seed=3)
    y, derivatives = reference(frames)
    near = frames[1].copy()
    near.set_distance(0, 1, 0.15, fix=0)
    X = toy.transform([near])
    pushed = {}
    for baseline in (None, ZBLCalculator()):
        gap = GAPRegressor(baseline=baseline).fit(toy.transform(frames), y, **derivatives)
        pushed[baseline is None] = gap.predict(X, return_forces=True)[0][0]
    assert pushed[False] > pushed[True] + 100.0


def test_what_is_no_baseline(features, targets):
    for baseline in (ZBLCalculator, "zbl"):
        with pytest.raises(TypeError, match="an instance, not a class"):
            GAPRegressor(baseline=baseline).fit(features, targets[0])
    X = np.random.RandomState(0).normal(size=(5, 3))
    with pytest.raises(ValueError, match="X is a plain array"):
        GAPRegressor(baseline=ZBLCalculator()).fit(X, X[:, 0])
