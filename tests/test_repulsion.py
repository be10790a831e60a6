"""Repulsion below the distances of the data: its shape, derivatives, and where it begins."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces
from ase.md.verlet import VelocityVerlet
from ase.units import fs, kB
from helpers.potentials import crystals
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.calculator import SkdescCalculator, ZBLCalculator
from skdesc.gaussian_process._checks import check_loaded
from skdesc.io import load, read_quip_xml, save, write_quip_xml
from skdesc.neighbors import ShortestDistances, find_pairs, pair_numbers
from skdesc.repulsion import RepulsionCalculator, find_onsets, onset_of_unseen
from skdesc.structures import check_structures

SMALL = {"n_max": 4, "l_max": 3}


@pytest.fixture(scope="module")
def frames():
    return crystals(16)


def fitted(frames, baseline="auto", **soap):
    y, targets = extract_targets(frames)
    pipeline = make_pipeline(
        SOAPTransformer(**SMALL, **soap), GAPRegressor(n_sparse=15, baseline=baseline)
    )
    return pipeline.fit(frames, y, gapregressor__forces=targets["forces"])


def dimers(first, second, distances):
    return [Atoms([first, second], [[0, 0, 0], [0, 0, r]]) for r in distances]


def energies(calculator, frames):
    return calculator.evaluate(check_structures(frames))[0]


@pytest.mark.parametrize("onset", [0.6, 0.9, 1.5, 2.4])
@pytest.mark.parametrize("pair", ["H-H", "H-O", "Cu-Cu", "Au-Cu"])
def test_a_pair_is_a_wall(pair, onset):
    calculator = RepulsionCalculator({pair: onset})
    r = np.linspace(0.3, 1.2 * onset, 400)
    values = energies(calculator, dimers(*pair.split("-"), r))
    assert (values[r >= onset] == 0).all()
    assert (np.diff(values[r <= onset]) < 0).all()
    assert values[r <= 0.5].min() > 39.9


def test_derivatives(frames):
    calculator = RepulsionCalculator({"Cu-Cu": 2.6, "Au-Cu": 2.7, "Au-Au": 2.9})
    atoms = frames[0]
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    atoms.rattle(0.1, seed=3)
    atoms.calc = calculator
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 0.1
    deviations = [np.abs(calculate_numerical_forces(atoms, h) - forces).max() for h in (4e-3, 2e-3)]
    assert deviations[1] < 1e-4 * np.abs(forces).max()
    assert deviations[0] / deviations[1] == pytest.approx(4.0, rel=0.2)  # second order
    strain = np.zeros((3, 3))
    strain[0, 1] = strain[1, 0] = 1e-5
    values = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.set_cell(atoms.cell @ (np.eye(3) + sign * strain), scale_atoms=True)
        values.append(energies(calculator, [moved])[0])
    slope = (values[0] - values[1]) / 4e-5 / atoms.get_volume()
    assert atoms.get_stress()[5] == pytest.approx(slope, rel=1e-5)


def naive_sums(calculator, structures):
    """Energies, derivatives by position and by strain of atoms, pair after pair."""
    n_atoms = len(structures.numbers)
    energy, gradient, strain = np.zeros(n_atoms), np.zeros((n_atoms, 3)), np.zeros((n_atoms, 3, 3))
    pairs = find_pairs(structures, 4.0, np.arange(n_atoms), np.zeros(n_atoms, dtype=np.intp))
    center = np.repeat(np.arange(n_atoms), np.diff(pairs.offsets))
    for i, j, r, d in zip(
        center, pairs.neighbor, pairs.distance, pairs.displacement, strict=True
    ):
        z_i, z_j = structures.numbers[[i]], structures.numbers[[j]]
        onset = calculator._onsets(z_i, z_j)
        if r >= onset:
            continue
        value, slope = calculator._pair_energies(np.array([r]), z_i, z_j, onset)
        energy[i] += value[0] / 2
        gradient[i] -= slope[0] / r * d
        strain[i] += slope[0] / (2 * r) * np.outer(d, d)
    return energy, gradient, strain


@pytest.mark.parametrize(
    "calculator", [RepulsionCalculator({"Cu-Cu": 2.5, "Au-Cu": 2.6}), ZBLCalculator()]
)
def test_sums_over_pairs(frames, calculator):
    far = Atoms("CuAu", [[0, 0, 0], [0, 0, 9.0]])
    # near ones, with an atom that is alone between them, and at the end
    mixed = Atoms("CuHCu2Au", [[0, 0, 0], [9, 0, 0], [0, 0, 1.9], [0, 1.4, 1.2], [0, 9, 9]])
    dense = bulk("Cu", cubic=True)
    dense.rattle(0.2, seed=1)
    structures = check_structures([far, mixed, *frames[:2], dense, far])
    expected = naive_sums(calculator, structures)
    assert (expected[0] > 0).any()
    assert (expected[0] == 0).any()
    for value, other in zip(calculator.evaluate_atoms(structures), expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-12, atol=1e-12)
    for value in calculator.evaluate_atoms(check_structures([far])):
        assert not value.any()


def test_two_derivatives_are_continuous():
    calculator = RepulsionCalculator({"H-O": 1.0})
    for edge in (1.0, 0.5):
        jumps = []
        for step in (1e-2, 1e-3):
            values = energies(calculator, dimers("H", "O", edge + step * np.arange(-3, 4)))
            second = np.diff(values, 2) / step**2
            jumps.append(abs(second[-1] - second[0]))
        # in proportion to the step
        assert jumps[1] < 0.15 * jumps[0]


def test_shortest_distances_do_not_depend_on_how_data_arrive(frames):
    whole, parts, first = ShortestDistances(), ShortestDistances(), ShortestDistances()
    whole.add(check_structures(frames))
    first.add(check_structures(frames[:5]))
    parts.add(check_structures(frames[5:]))
    before = find_onsets(first)
    merged = first.copy()
    merged.merge(parts)
    assert find_onsets(first) == before
    assert find_onsets(merged) == find_onsets(whole)
    for pair, onset in find_onsets(whole).items():
        a, b = pair_numbers(pair)
        shortest = min(_shortest(atoms, a, b) for atoms in frames)
        assert 0.85 * shortest - 1e-9 <= onset <= 0.94 * shortest + 1e-9


def _shortest(atoms, a, b):
    repeated = atoms.repeat(2)
    distances = repeated.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    return distances[np.ix_(repeated.numbers == a, repeated.numbers == b)].min()


def test_a_pair_that_is_rare_counts_as_unseen():
    distances = ShortestDistances()
    distances.add(check_structures(dimers("H", "O", [1.5, 1.7])))
    assert find_onsets(distances) == {"H-O": onset_of_unseen(1, 8)}


def test_nothing_changes_at_distances_of_the_data(frames):
    auto, without = fitted(frames), fitted(frames, baseline=None)
    assert without[-1].baseline_ is None
    assert isinstance(auto[-1].baseline_, RepulsionCalculator)
    for result, expected in zip(auto.predict(frames, return_forces=True),
                                without.predict(frames, return_forces=True), strict=True):
        for one, other in zip(result, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(auto[-1].weights_, without[-1].weights_)


def test_no_pair_falls_into_a_well(frames):
    pipeline = fitted(frames)
    distances = ShortestDistances()
    distances.add(check_structures(frames))
    for pair, known in distances.found.items():
        r = np.arange(0.4, known[0], 0.02)
        values = pipeline.predict(dimers(*pair.split("-"), r))
        values -= sum(pipeline[-1].e0_[symbol] for symbol in pair.split("-"))
        assert values[r <= 0.5].min() > 20
        highest_beyond = np.maximum.accumulate(values[::-1])[::-1]
        # an attraction that the data show at their shortest distance ends a little below it
        assert (highest_beyond - values).max() < 0.3


def test_dynamics_stays_together(frames):
    """Far above the temperature of the data, no pair comes much nearer than where they end."""
    pipeline = fitted(frames)
    onsets = pipeline[-1].baseline_.onsets
    atoms = frames[0].copy()
    atoms.calc = SkdescCalculator(pipeline)
    rng, kT = np.random.RandomState(0), 3000 * kB
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * np.sqrt(kT * atoms.get_masses())[:, None])
    dynamics = VelocityVerlet(atoms, 3.0 * fs)
    total = atoms.get_total_energy()
    for _ in dynamics.irun(60):
        for pair, onset in onsets.items():
            assert _shortest(atoms, *pair_numbers(pair)) > 0.75 * onset
    assert abs(atoms.get_total_energy() - total) < 0.02 * atoms.get_kinetic_energy()


def test_a_file_cannot_have_another_repulsion(frames):
    pipeline = fitted(frames)
    gap = pickle.loads(pickle.dumps(pipeline[-1]))
    gap._baseline = RepulsionCalculator({"Cu-Cu": 1.0})
    with pytest.raises(ValueError, match="baseline of the fit is"):
        check_loaded(gap)
    gap._baseline = None
    with pytest.raises(ValueError, match="baseline of the fit is"):
        check_loaded(gap)


def test_energies_alone_and_plain_arrays_have_none(frames):
    y, targets = extract_targets(frames)
    pipeline = make_pipeline(SOAPTransformer(**SMALL), GAPRegressor(n_sparse=10)).fit(frames, y)
    assert pipeline[-1].baseline_ is None
    X = np.random.default_rng(0).normal(size=(12, 3))
    assert GAPRegressor(n_sparse=5).fit(X, X[:, 0]).baseline_ is None
    virials = clone(pipeline).fit(frames, y, gapregressor__virials=targets["virials"])
    assert virials[-1].baseline_ is not None


def test_it_goes_where_the_model_goes(frames, tmp_path):
    pipeline = fitted(frames)
    near = bulk("Cu", cubic=True, a=2.6)
    expected = pipeline.predict([near], return_forces=True, return_virials=True)
    save(pipeline, tmp_path / "model.skd")
    for again in (load(tmp_path / "model.skd"), pickle.loads(pickle.dumps(pipeline))):
        assert again[-1].baseline == "auto"
        assert again[-1].baseline_.onsets == pipeline[-1].baseline_.onsets
        found = again.predict([near], return_forces=True, return_virials=True)
        np.testing.assert_array_equal(found[0], expected[0])
    near.rattle(0.05, seed=0)
    near.calc = SkdescCalculator(pipeline)
    reference = calculate_numerical_forces(near, 1e-4)
    np.testing.assert_allclose(near.get_forces(), reference, rtol=1e-5, atol=1e-3)
    assert near.get_potential_energies().sum() == pytest.approx(near.get_potential_energy())


def test_partial_fits_and_folds_have_their_own(frames):
    y, targets = extract_targets(frames)
    soap = SOAPTransformer(**SMALL).fit(frames)
    Z, forces = soap.transform(frames), targets["forces"]
    whole = GAPRegressor(n_sparse=10).fit(Z, y, forces=forces)
    parts = GAPRegressor(n_sparse=10)
    for some in (slice(0, 7), slice(7, None)):
        parts.partial_fit(Z[some], y[some], forces=forces[some])
    assert parts.baseline_.onsets == whole.baseline_.onsets
    again = pickle.loads(pickle.dumps(GAPRegressor(n_sparse=10).fit(Z[:7], y[:7],
                                                                  forces=forces[:7])))
    again.partial_fit(Z[7:], y[7:], forces=forces[7:])
    assert again.baseline_.onsets == whole.baseline_.onsets
    splits = [(np.arange(10), np.arange(10, 16)), (np.arange(6, 16), np.arange(6))]
    for model, (train, test) in zip(
        GAPRegressor(n_sparse=10).fit_folds(Z, y, splits, forces=forces), splits, strict=True
    ):
        alone = GAPRegressor(n_sparse=10).fit(Z[train], y[train],
                                              forces=[forces[i] for i in train])
        assert model.baseline_.onsets == alone.baseline_.onsets
        np.testing.assert_allclose(model.predict(Z[test]), alone.predict(Z[test]), atol=1e-6)


def test_quip_files_lack_it_and_say_so(frames, tmp_path):
    pipeline = fitted(frames, radial_basis="equispaced")
    with pytest.warns(UserWarning, match="QUIP's format has no repulsion"):
        write_quip_xml(pipeline, tmp_path / "gap.xml")
    again = read_quip_xml(tmp_path / "gap.xml")
    assert again[-1].baseline_ is None
    np.testing.assert_allclose(again.predict(frames), pipeline.predict(frames), atol=1e-8)


@pytest.mark.parametrize(("onsets", "error", "match"), [
    ([2.0], TypeError, "onsets is of type list, but must be a dict"),
    ({"CuCu": 2.0}, ValueError, "'CuCu', but must have pairs of elements"),
    ({("Cu", "Cu"): 2.0}, ValueError, "must have pairs of elements"),
    ({"Cu-Cu": -1.0}, ValueError, "onsets has -1.0 for Cu-Cu"),
    ({"Cu-Cu": np.nan}, ValueError, "onsets has nan for Cu-Cu"),
    ({"Cu-Cu": True}, ValueError, "onsets has True for Cu-Cu"),
])
def test_bad_onsets(onsets, error, match):
    with pytest.raises(error, match=match):
        RepulsionCalculator(onsets)


@pytest.mark.parametrize("baseline", ["zbl", "Auto", 1.0, EMT])
def test_bad_baselines(frames, baseline):
    with pytest.raises(TypeError, match="must be an ASE calculator"):
        fitted(frames[:4], baseline=baseline)


def test_old_name_of_zbl():
    import skdesc.repulsion

    assert ZBLCalculator is skdesc.repulsion.ZBLCalculator
