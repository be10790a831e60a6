"""Learned mixing weights: gradient, learning, errors."""

import numpy as np
import pytest
from ase.build import bulk
from ase.data import chemical_symbols
from helpers.derivatives import assert_second_order
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from skdesc import TensorReducedTransformer
from skdesc.descriptors import _learned_mixing
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


@pytest.mark.parametrize(
    "changes", [{}, {"scheme": "decomposition", "normalize": False}, {"weights_per_l": True},
                {"correlation_order": 3}],
)  # fmt: skip
def test_gradient_by_the_parameters(changes):
    frames, y = alloys(12)
    transformer = TensorReducedTransformer(**{**SMALL, **changes}).fit(frames)
    n_l = 3 if transformer.weights_per_l else 1
    factors = len(transformer.mixing_weights_)
    validation = np.arange(len(y)) % 4 == 0
    problem = _learned_mixing.MixingProblem(
        transformer._engine, check_structures(frames), y, shape=(factors, n_l, 6, 3, 4),
        n_embedding=2, validation=validation, alpha=1e-3,
    )  # fmt: skip
    x = problem.start(np.random.default_rng(1))
    problem.choose_alpha(x)
    direction = np.random.default_rng(2).normal(size=x.shape)
    _, gradient, _ = problem.loss_and_gradient(x)
    assert_second_order(
        gradient @ direction, lambda x: problem.loss_and_gradient(x)[0],
        lambda step: x + step * direction, [2e-3, 1e-3],
    )  # fmt: skip


def test_stored_coefficients_give_the_features():
    frames, _ = alloys(5)
    transformer = TensorReducedTransformer(**SMALL).fit(frames)
    packed = _learned_mixing.pack_coefficients(transformer._engine, check_structures(frames))
    out = np.empty((20, transformer.n_features_out_))
    weights = transformer.mixing_weights_[:, None]
    packed.features(transformer._engine.layout.columns(weights), out)
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
        ).fit(frames[train], y[train])  # fmt: skip
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


def test_learning_is_reproducible():
    frames, y = alloys(20)
    options = {"max_iter": 3}
    first, second = (
        TensorReducedTransformer(
            **SMALL, weights="learned", learning=options, n_jobs=n
        ).fit(frames, y) for n in (1, 2)
    )  # fmt: skip
    np.testing.assert_array_equal(first.mixing_weights_, second.mixing_weights_)
    given = TensorReducedTransformer(**SMALL, weights=first.mixing_weights_).fit(frames)
    np.testing.assert_array_equal(first.transform(frames).values, given.transform(frames).values)


@pytest.mark.parametrize(
    ("learning", "match"),
    [
        ({"iterations": 3}, r"learning has \['iterations'\], but its options are"),
        ([3], "learning must be a dict"),
        ({"n_embedding": 0}, r"learning\['n_embedding'\] must be an integer of at least 1"),
        ({"validation_fraction": 1.0}, "between 0 and 1"),
        ({"alpha": -1.0}, "must be None or a number above 0"),
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
    with pytest.raises(ValueError, match="at least 4 structures"):
        transformer.fit(frames[:3], y[:3])
    with pytest.raises(ValueError, match="needs reduce"):
        transformer.set_params(reduce="species").fit(frames, y)
