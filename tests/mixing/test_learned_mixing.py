"""Learned mixing weights: gradient, learning, errors."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.data import chemical_symbols
from helpers.derivatives import assert_second_order
from sklearn import clone, config_context
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, TensorReducedTransformer, extract_targets
from skdesc.metrics import forces_rmse
from skdesc.mixing import _learning
from skdesc.mixing._ridge_loss import MixingProblem, pack_coefficients
from skdesc.structures import check_structures

SMALL = {"cutoff": 4.0, "n_max": 3, "l_max": 2, "n_channels": 4, "random_state": 0}
ELEMENTS = ["Al", "Cu", "Ag", "Au", "Pt", "Ni"]


def alloys(count, seed=0):
    """Small cells; the energy of a bond is a product of hidden properties of its elements."""
    rng = np.random.default_rng(seed)
    hidden = dict(zip(ELEMENTS, np.linspace(-1, 1, len(ELEMENTS)), strict=True))
    frames, y = [], []
    for _ in range(count):
        atoms = bulk("Cu", "fcc", 3.9, cubic=True)
        atoms.symbols = rng.choice(ELEMENTS, len(atoms))
        atoms.rattle(0.15, rng=rng)
        charge = np.array([hidden[name] for name in atoms.symbols])
        distances = atoms.get_all_distances(mic=True) + 10 * np.eye(4)
        y.append((np.outer(charge, charge) * np.exp(-distances)).sum())
        frames.append(atoms)
    return frames, np.array(y)


def partial_forces(frames):
    """Numbers in place of forces; of some atoms and structures there are none."""
    rng = np.random.default_rng(5)
    forces = [rng.normal(size=(len(atoms), 3)) for atoms in frames]
    forces[2][1] = np.nan
    forces[3] = None
    return forces


VARIANTS = [
    {}, {"scheme": "decomposition", "normalize": False}, {"weights_per_l": True},
    {"correlation_order": 3}, {"correlation_order": 4, "scheme": "decomposition"},
]


def mixing_problem(transformer, frames, y, forces=None, alpha=1e-3):
    structures = check_structures(frames)
    y, forces = _learning.check_targets(y, forces, structures)
    n_l = 3 if transformer.weights_per_l else 1
    return MixingProblem(
        transformer._descriptor, structures, y, forces,
        shape=(len(transformer.mixing_weights_), n_l, 6, 3, 4), n_embedding=2,
        validation=np.arange(len(y)) % 4 == 0, alpha=alpha, forces_weight=0.5,
    )


def assert_gradient(problem):
    """Central differences of the loss, in one direction."""
    x = problem.start(np.random.default_rng(1))
    problem.choose_alpha(x)
    direction = np.random.default_rng(2).normal(size=x.shape)
    _, gradient, _ = problem.loss_and_gradient(x)
    assert_second_order(
        gradient @ direction, lambda x: problem.loss_and_gradient(x)[0],
        lambda step: x + step * direction, [2e-3, 1e-3],
    )


@pytest.mark.parametrize("with_forces", [False, True])
@pytest.mark.parametrize("changes", VARIANTS)
def test_gradient_by_the_parameters(changes, with_forces):
    frames, y = alloys(12)
    transformer = TensorReducedTransformer(**{**SMALL, **changes}).fit(frames)
    problem = mixing_problem(
        transformer, frames, y, partial_forces(frames) if with_forces else None
    )
    assert_gradient(problem)


@pytest.mark.parametrize("center_weight", [0.0, 1.0])
def test_gradient_with_lone_and_unknown_atoms(center_weight):
    frames, y = alloys(12)
    places = [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
    frames += [Atoms("Cu"), Atoms("Fe2", positions=places), Atoms("FeCu", positions=places)]
    y = np.append(y, [0.0, 0.0, 0.0])
    transformer = TensorReducedTransformer(
        ELEMENTS, **SMALL, handle_unknown="ignore", center_weight=center_weight
    ).fit(frames)
    problem = mixing_problem(transformer, frames, y, partial_forces(frames))
    assert_gradient(problem)


def test_stored_coefficients_give_the_features():
    frames, _ = alloys(5)
    transformer = TensorReducedTransformer(**SMALL).fit(frames)
    descriptor = transformer._descriptor
    packed = pack_coefficients(descriptor, check_structures(frames))
    out = np.empty((20, transformer.n_features_out_))
    weights = transformer.mixing_weights_[:, None]
    packed.features(transformer._descriptor.layout.columns(weights), out, 0, 20)
    np.testing.assert_allclose(out, transformer.transform(frames).values, atol=1e-12)


def test_learned_weights_beat_random_ones():
    frames, y = alloys(300)
    train, test = slice(0, 240), slice(240, None)

    def fit(weights):
        model = make_pipeline(
            TensorReducedTransformer(
                **SMALL, weights=weights, pooling="sum", normalize=False,
                learning={"n_embedding": 2},
            ),
            RidgeCV(np.logspace(-8, 2, 11)),
        ).fit(frames[train], y[train])
        return np.sqrt(((model.predict(frames[test]) - y[test]) ** 2).mean()), model[0]

    learned, transformer = fit("learned")
    random, _ = fit("normal")
    assert learned < 0.3 * random
    history = transformer.learning_history_
    assert min(history["validation"]) < 0.3 * history["validation"][0]
    # the hidden property of the elements is the first coordinate of their embedding
    hidden = np.linspace(-1, 1, 6)[
        [ELEMENTS.index(chemical_symbols[z]) for z in transformer.species_]
    ]
    assert transformer.element_embedding_.shape == (6, 2)
    assert abs(np.corrcoef(transformer.element_embedding_[:, 0], hidden)[0, 1]) > 0.99


def emt_alloys(count, seed):
    """Cells with energies and forces of a potential for six elements."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        atoms = bulk("Cu", "fcc", 4.0, cubic=True)
        atoms.symbols = rng.choice(ELEMENTS, len(atoms))
        atoms.rattle(0.12, rng=rng)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return frames, *extract_targets(frames, virials=False)


def test_linear_model_is_that_of_energies_and_explicit_force_rows():
    frames, y, targets = emt_alloys(16, seed=0)
    transformer = TensorReducedTransformer(ELEMENTS, **SMALL).fit(frames)
    problem = mixing_problem(transformer, frames, y, targets["forces"], alpha=1e-6)
    x = problem.start(np.random.default_rng(1))
    problem.choose_alpha(x)
    weights = problem.weights(x)[0]
    features = TensorReducedTransformer(
        ELEMENTS, **SMALL, weights=weights[:, 0]
    ).fit_transform(frames)
    train, n_atoms = problem.train, problem.n_atoms
    # sums over the centers of a structure, then one row per energy, then one per force component
    F = np.add.reduceat(features.values, features.offsets[:-1], axis=0) / n_atoms[:, None]
    G = -features.jacobian().dense().sum(axis=0)
    composition = problem.composition
    F = (F - composition @ np.linalg.lstsq(composition[train], F[train], rcond=None)[0])[train]
    atoms = np.repeat(train, n_atoms)
    f = np.concatenate(targets["forces"])[atoms].ravel()
    factors = np.sqrt([1 / len(F), problem.forces_weight / len(f)])
    A = np.concatenate([factors[0] * F, factors[1] * G[atoms].reshape(len(f), -1)])
    b = np.concatenate([factors[0] * problem.rest[train], factors[1] * f])
    ridge = np.sqrt(1e-6 * (A**2).sum()) * np.eye(A.shape[1])
    a = np.linalg.lstsq(np.concatenate([A, ridge]), np.append(b, 0 * ridge[0]), rcond=None)[0]
    loss, _, errors = problem.loss_and_gradient(x)
    assert loss == pytest.approx(((A @ a - b) ** 2).sum() + ((ridge @ a) ** 2).sum(), rel=1e-6)
    of_energies, of_forces = F @ a - problem.rest[train], G[atoms].reshape(len(f), -1) @ a - f
    assert errors[0] == pytest.approx(np.sqrt((of_energies**2).mean()), rel=1e-5)
    assert errors[2] == pytest.approx(np.sqrt((of_forces**2).mean()))


def test_forces_give_better_weights():
    frames, y, targets = emt_alloys(80, seed=0)
    others, _, reference = emt_alloys(30, seed=1)
    errors = {}
    for name, forces in (("energies", None), ("both", targets["forces"])):
        transformer = TensorReducedTransformer(
            cutoff=4.5, n_max=4, l_max=3, n_channels=8, scheme="decomposition", random_state=0,
            weights="learned", learning={"n_embedding": 4, "max_iter": 60},
        ).fit(frames, y, forces=forces)
        model = GAPRegressor(
            n_sparse=60, zeta=2, sigma_energy=0.002, sigma_forces=0.05, random_state=0
        ).fit(transformer.transform(frames), y, forces=targets["forces"])
        _, predicted = model.predict(transformer.transform(others), return_forces=True)
        errors[name] = forces_rmse(reference["forces"], predicted)
        history = transformer.learning_history_
        assert ("validation_forces" in history) == (name == "both")
    assert min(history["validation_forces"]) < 0.3 * history["validation_forces"][0]
    assert errors["both"] < 0.6 * errors["energies"]


def test_forces_arrive_by_metadata_routing():
    frames, y, targets = emt_alloys(24, seed=0)
    forces = targets["forces"]
    transformer = TensorReducedTransformer(
        **SMALL, weights="learned", learning={"max_iter": 5, "n_embedding": 2}
    )
    alone = clone(transformer).fit(frames, y, forces=forces)
    model = make_pipeline(clone(transformer), GAPRegressor(n_sparse=10, random_state=0))
    with config_context(enable_metadata_routing=True):
        model.fit(frames, y, forces=forces)
    np.testing.assert_array_equal(model[0].mixing_weights_, alone.mixing_weights_)
    assert "validation_forces" in model[0].learning_history_
    without = clone(transformer).fit(frames, y)
    assert "validation_forces" not in without.learning_history_
    none_known = clone(transformer).fit(frames, y, forces=[None] * len(frames))
    np.testing.assert_array_equal(without.mixing_weights_, none_known.mixing_weights_)


@pytest.mark.parametrize("with_forces", [False, True])
def test_learning_is_reproducible(with_forces):
    frames, y = alloys(20)
    forces = partial_forces(frames) if with_forces else None
    options = {"max_iter": 3}
    first, second = (
        TensorReducedTransformer(
            **SMALL, weights="learned", learning=options, n_jobs=n
        ).fit(frames, y, forces=forces) for n in (1, 2)
    )
    np.testing.assert_array_equal(first.mixing_weights_, second.mixing_weights_)
    given = TensorReducedTransformer(**SMALL, weights=first.mixing_weights_).fit(frames)
    np.testing.assert_array_equal(first.transform(frames).values, given.transform(frames).values)


@pytest.mark.parametrize(
    ("learning", "match"),
    [
        ({"iterations": 3}, r"learning has \['iterations'\], but its options are"),
        ([3], "learning must be a dict"),
        ({"n_embedding": 0}, r"learning\['n_embedding'\] is 0, but must be an integer"),
        ({"validation_fraction": 1.0}, "between 0 and 1"),
        ({"alpha": -1.0}, "must be None or a number above 0"),
        ({"forces_weight": 0.0}, r"learning\['forces_weight'\] is 0.0, but must be a number"),
    ],
)
def test_options_out_of_range(learning, match):
    frames, y = alloys(5)
    transformer = TensorReducedTransformer(**SMALL, weights="learned", learning=learning)
    with pytest.raises(ValueError, match=match):
        transformer.fit(frames, y)


def test_targets_that_do_not_fit():
    frames, y = alloys(6)
    transformer = TensorReducedTransformer(**SMALL, weights="learned")
    with pytest.raises(ValueError, match="one finite number per structure"):
        transformer.fit(frames, y[:-1])
    with pytest.raises(ValueError, match="one finite number per structure"):
        transformer.fit(frames, np.where(y == y[0], np.nan, y))
    match = r"forces\[1\] has the shape \(3, 3\), but must have \(4, 3\)"
    with pytest.raises(ValueError, match=match):
        transformer.fit(frames, y, forces=[np.zeros((4, 3)), np.zeros((3, 3)), *[None] * 4])
    with pytest.raises(ValueError, match="forces has 1 entries, but there are 6 structures"):
        transformer.fit(frames, y, forces=[np.zeros((4, 3))])
    with pytest.raises(ValueError, match="at least 4 structures"):
        transformer.fit(frames[:3], y[:3])
    with pytest.raises(ValueError, match="needs reduce"):
        transformer.set_params(reduce="species").fit(frames, y)
