"""Parameters "auto": found from structures alone, stored, and the same wherever a model goes."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from helpers.tools import molecules
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline, make_union

from skdesc import (
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    Structures,
    TensorReducedTransformer,
    TwoBodyTransformer,
    TwoStagePSOSearchCV,
)
from skdesc.datasets import load_carbon_dimer, load_carbon_solids, load_organic_molecules
from skdesc.descriptors._auto_parameters import AUTO_PARAMETERS
from skdesc.io import load, save

SMALL = {"n_max": 3, "l_max": 2}
TRANSFORMERS = [
    SOAPTransformer(**SMALL),
    TensorReducedTransformer(**SMALL, n_channels=4, random_state=0),
    TwoBodyTransformer(n_gaussians=6),
]


def found(transformer):
    return {name: getattr(transformer, f"{name}_") for name in AUTO_PARAMETERS
            if hasattr(transformer, f"{name}_")}


def crystals(element="Cu", count=6, scale=1.0):
    frames = []
    for seed in range(count):
        atoms = bulk(element, cubic=True)
        atoms.set_cell(scale * atoms.cell, scale_atoms=True)
        atoms.rattle(0.05 * scale, seed=seed)
        frames.append(atoms)
    return frames


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)
def test_given_numbers_have_the_same_features(transformer, tmp_path):
    frames = crystals()
    auto = clone(transformer).fit(frames)
    assert set(auto.get_params().values()) & {"auto"}
    given = clone(transformer).set_params(**found(auto)).fit(frames)
    expected = given.transform(frames).values
    assert found(given) == found(auto)
    np.testing.assert_array_equal(auto.transform(frames).values, expected)
    save(auto, tmp_path / "auto.skd")
    for again in (pickle.loads(pickle.dumps(auto)), load(tmp_path / "auto.skd")):
        assert found(again) == found(auto)
        assert again.cutoff == "auto"
        np.testing.assert_array_equal(again.transform(frames).values, expected)
    for container in (Structures.from_atoms(frames), tuple(frames)):
        assert found(clone(transformer).fit(container)) == found(auto)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)
def test_every_fit_finds_its_own(transformer):
    transformer = clone(transformer)
    copper = found(transformer.fit(crystals("Cu")))
    sodium = found(transformer.fit(crystals("Na")))
    assert sodium["cutoff"] > 1.3 * copper["cutoff"]
    transformer.set_params(cutoff=3.0).fit(crystals("Na"))
    assert transformer.cutoff_ == 3.0
    assert transformer.cutoff_width_ < 3.0


def test_lengths_follow_the_structures():
    first, second = (found(SOAPTransformer(**SMALL).fit(crystals(scale=s))) for s in (1.0, 1.3))
    for name in ("cutoff", "cutoff_width", "atom_sigma"):
        assert second[name] / first[name] == pytest.approx(1.3, rel=0.05)
    scale = second["radial_scaling"][1] / first["radial_scaling"][1]
    assert scale == pytest.approx(1.3, rel=0.05)


def test_no_order_and_no_odd_structure_matters():
    frames = crystals(count=20)
    expected = found(SOAPTransformer(**SMALL).fit(frames))
    odd = [Atoms("Cu"), Atoms("Cu2", [[0, 0, 0], [0, 0, 0.9]]), bulk("Cu", a=2.5), bulk("Cu", a=6)]
    for some in (frames[::-1], frames[::2], frames + odd):
        assert found(SOAPTransformer(**SMALL).fit(some)) == expected


@pytest.mark.parametrize("frames", [
    [Atoms("Cu")], [Atoms("H")], [Atoms("X")], [bulk("Po", "sc", a=3.4)],
    [Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])], [molecule("CH4")],
    [bulk("Cu", a=1.5)], [bulk("Cs", a=12.0)],
    [Atoms("He2", [[0, 0, 0], [0, 0, 30.0]]), bulk("Cu")],
], ids=repr)
def test_anything_can_be_described(frames):
    for transformer in TRANSFORMERS:
        transformer = clone(transformer).fit(frames)
        assert np.isfinite(transformer.transform(frames).values).all()
        assert 0 < transformer.cutoff_width_ <= transformer.cutoff_


def test_pairs_reach_as_far_as_the_data():
    frames = load_carbon_dimer().frames
    longest = max(atoms.get_distance(0, 1) for atoms in frames)
    soap = SOAPTransformer(**SMALL).fit(frames)
    assert soap.cutoff_ - soap.cutoff_width_ > longest
    assert soap.radial_scaling_ is None


def test_hydrogen_counts_where_it_is_common():
    solids = crystals(count=19)
    hydride = bulk("Cu", cubic=True) + Atoms("H", [[1.8, 1.8, 1.8]])
    few, many = [*solids, hydride], [*solids[:5], hydride]
    assert found(SOAPTransformer(**SMALL).fit(few)) == found(SOAPTransformer(**SMALL).fit(solids))
    assert SOAPTransformer(**SMALL).fit(many).atom_sigma_ == 0.3
    left_out = SOAPTransformer(["Cu"], handle_unknown="ignore", **SMALL).fit(many)
    assert found(left_out) == found(SOAPTransformer(**SMALL).fit(solids[:5]))


@pytest.mark.parametrize(("given", "rule"), [
    ({"cutoff": 2.0}, lambda s: s.cutoff_width_ <= 2.0),
    ({"cutoff": 60.0}, lambda s: s.atom_sigma_ >= 0.3),
    ({"cutoff_width": 9.0}, lambda s: s.cutoff_ == 9.0),
    ({"radial_scaling": None}, lambda s: s.radial_scaling_ is None),
    ({"atom_sigma": 0.7}, lambda s: s.atom_sigma_ == 0.7),
])
def test_what_is_given_stays_and_the_others_go_with_it(given, rule):
    soap = SOAPTransformer(**SMALL, **given).fit([bulk("Cu"), Atoms("Cu")])
    assert rule(soap)
    for name, value in given.items():
        assert getattr(soap, f"{name}_") == value
    np.testing.assert_array_equal(np.isfinite(soap.transform([Atoms("Cu")]).values), True)


@pytest.mark.parametrize("value", ["Auto", "", "5"])
@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)
def test_no_other_word_is_taken(transformer, value):
    with pytest.raises(ValueError, match="cutoff must be a number"):
        clone(transformer).set_params(cutoff=value).fit(crystals())


def test_members_of_a_union_and_caches():
    frames = crystals()
    union = make_union(TwoBodyTransformer(n_gaussians=5), SOAPTransformer(**SMALL)).fit(frames)
    (_, pairs), (_, soap) = union.transformer_list
    assert pairs.cutoff_ == soap.cutoff_
    cache = FeatureCache()
    for element in ("Cu", "Na"):  # the same parameters "auto", but not the same features
        some = crystals(element)
        cached = CachedDescriptor(SOAPTransformer(["Na", "Cu"], **SMALL), cache).fit(some)
        plain = SOAPTransformer(["Na", "Cu"], **SMALL).fit(some)
        for other in (some, frames):
            np.testing.assert_array_equal(
                cached.transform(other).values, plain.transform(other).values
            )


def test_pooled_and_refitted():
    frames = load_organic_molecules().frames[:10]
    soap = SOAPTransformer(**SMALL, pooling="mean")
    first = soap.fit_transform(frames)
    np.testing.assert_array_equal(soap.fit(crystals()).fit(frames).transform(frames), first)


@pytest.mark.parametrize("stage", ["one_pass", "cv"])
def test_a_search_scores_what_its_final_fit_uses(stage):
    frames, energies = molecules()
    pipeline = make_pipeline(SOAPTransformer(**SMALL), GAPRegressor(n_sparse=5))
    search = TwoStagePSOSearchCV(
        pipeline, {"soaptransformer__n_max": [2, 3]}, {"gapregressor__zeta": [2, 4]}, cv=KFold(3),
        n_particles=2, n_iterations=1, stage_one_objective=stage, random_state=0,
        scoring="neg_mean_absolute_error",
    ).fit(frames, energies)
    best = search.best_estimator_
    assert best[0].cutoff == "auto"
    plain = clone(pipeline).set_params(**search.best_params_).fit(frames, energies)
    assert found(plain[0]) == found(best[0])
    np.testing.assert_allclose(plain.predict(frames), best.predict(frames), rtol=1e-12)
    numbers = {f"soaptransformer__{name}": value for name, value in found(best[0]).items()}
    given = clone(pipeline).set_params(**search.best_params_, **numbers)
    scores = cross_val_score(
        given, frames, energies, cv=KFold(3), scoring="neg_mean_absolute_error"
    )
    assert search.best_score_ == pytest.approx(scores.mean(), rel=1e-9)


def test_folds_mostly_agree():
    data = load_carbon_solids()
    whole = found(SOAPTransformer(**SMALL).fit(data.frames))
    parts = [found(SOAPTransformer(**SMALL).fit([data.frames[i] for i in train]))
             for train, _ in KFold(5, shuffle=True, random_state=0).split(data.frames)]
    assert sum(part == whole for part in parts) >= 4


def test_old_files_keep_their_numbers(tmp_path):
    """What was saved before "auto" has numbers for parameters, and lacks the attributes."""
    frames = crystals()
    old = SOAPTransformer(**SMALL, cutoff=5.0, cutoff_width=0.5, atom_sigma=0.5,
                          radial_scaling=None).fit(frames)
    expected = old.transform(frames).values
    for name in AUTO_PARAMETERS:
        delattr(old, f"{name}_")
    save(old, tmp_path / "old.skd")
    for again in (pickle.loads(pickle.dumps(old)), load(tmp_path / "old.skd")):
        assert again.radial_scaling is None
        assert again.cutoff_ == 5.0
        np.testing.assert_array_equal(again.transform(frames).values, expected)
        np.testing.assert_array_equal(again.fit(frames).transform(frames).values, expected)
