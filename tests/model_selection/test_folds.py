"""Any folds: "one_pass" and "cv" give the scores of ``cross_validate``."""

import warnings

import numpy as np
import pytest
from helpers.toy_data import make_frames, reference
from helpers.toy_descriptor import ToyTransformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeavePGroupsOut,
    RepeatedKFold,
    ShuffleSplit,
    cross_validate,
)
from sklearn.pipeline import Pipeline

from skdesc import GAPRegressor, TwoStagePSOSearchCV

N = 12


def _random_folds(rng):
    """Folds of a random kind, as lists that can be given again and again."""
    splitter = rng.choice(["kfold", "repeated", "shuffle", "groups", "by hand"])
    if splitter == "kfold":
        folds = list(KFold(rng.randint(2, 6), shuffle=True, random_state=rng).split(range(N)))
    elif splitter == "repeated":
        folds = list(RepeatedKFold(n_splits=3, n_repeats=2, random_state=rng).split(range(N)))
    elif splitter == "shuffle":
        folds = list(ShuffleSplit(2, test_size=0.3, random_state=rng).split(range(N)))
    elif splitter == "groups":
        groups = rng.permutation(np.arange(N) % 4)
        cv = GroupKFold(3) if rng.randint(2) else LeavePGroupsOut(2)
        folds = list(cv.split(range(N), groups=groups))[:4]
    else:  # gaps and overlaps of all sorts
        folds = [
            (rng.choice(N, size=rng.randint(5, N), replace=bool(rng.randint(2))),
             rng.choice(N, size=rng.randint(2, 6), replace=bool(rng.randint(2))))
            for _ in range(rng.randint(1, 4))
        ]
    return [tuple(_disguised(part, rng) for part in fold) for fold in folds]


def _disguised(part, rng):
    """The same samples written another way."""
    part = np.asarray(part)
    ways = [part, part.tolist(), part - N, np.where(rng.rand(len(part)) < 0.5, part, part - N)]
    if len(np.unique(part)) == len(part):
        mask = np.zeros(N, dtype=bool)
        mask[part] = True
        ways += [mask, mask.tolist()] * 2
    return ways[rng.randint(len(ways))]


@pytest.fixture(scope="module")
def data():
    frames = make_frames(N)
    y, _ = reference(frames)
    # energies alone are enough to tell one set of structures from another
    return ToyTransformer().transform(frames), y


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
)
def test_scores_are_those_of_cross_validate(data, seed):
    X, y = data
    rng = np.random.RandomState(seed)
    # one point per element, so that the worst conditioned covariances keep ten digits
    gap = GAPRegressor(n_sparse=2, sigma_energy=0.1, sparse_method="fps")
    pipeline = Pipeline([("same", "passthrough"), ("gap", gap)])
    n_passes = 0
    for _ in range(30):
        folds = _random_folds(rng)
        expected = cross_validate(pipeline, X, y, cv=folds, scoring="neg_mean_squared_error")
        for objective in ("one_pass", "cv"):
            search = TwoStagePSOSearchCV(
                pipeline, {}, {"gap__n_sparse": [2]}, cv=folds, refit=False, random_state=0,
                stage_one_objective=objective, scoring="neg_mean_squared_error",
            ).fit(X, y)
            found = [search.cv_results_[f"split{k}_test_score"][0] for k in range(len(folds))]
            np.testing.assert_allclose(found, expected["test_score"], rtol=1e-9, atol=1e-12)
            n_passes += search.n_models_trained_ < len(folds)
    assert n_passes > 5


@pytest.mark.parametrize("objective", ["one_pass", "cv"])
def test_masks_do_not_leak(data, objective):
    X, y = data
    train = np.arange(N) < 8
    search = TwoStagePSOSearchCV(
        Pipeline([("same", "passthrough"), ("gap", GAPRegressor(n_sparse=2))]),
        {}, {"gap__n_sparse": [2]}, cv=[(train, ~train)], stage_one_objective=objective,
    ).fit(X, y)
    own = GAPRegressor(n_sparse=2).fit(X[train], y[train])
    assert search.best_score_ == pytest.approx(own.score(X[~train], y[~train]), rel=1e-9)


def test_fit_folds_takes_masks_and_refuses_what_it_cannot_represent(data):
    X, y = data
    train = np.arange(N) < 8
    gap = GAPRegressor(n_sparse=2)
    (by_mask,) = gap.fit_folds(X, y, [(train, ~train)])
    (by_index,) = gap.fit_folds(X, y, [(np.arange(8) - N, np.arange(8, N))])
    np.testing.assert_array_equal(by_mask.predict(X), by_index.predict(X))
    with pytest.raises(ValueError, match="one pass over the data sees each sample once"):
        gap.fit_folds(X, y, [([0, 0, 1, 2, 3], [4])])


RIDGE_DATA = np.random.RandomState(0).normal(size=(20, 3)), np.arange(20.0)


def _ridge_search(cv, **options):
    return TwoStagePSOSearchCV(Ridge(), {}, {"alpha": [1.0]}, cv=cv, **options)


@pytest.mark.parametrize("cv", [[], iter(()), (fold for fold in ())])
def test_no_folds(cv):
    with pytest.raises(ValueError, match=r"No fits were performed. Was the CV iterator empty?"):
        _ridge_search(cv).fit(*RIDGE_DATA)
    with pytest.raises(ValueError, match=r"No fits were performed. Was the CV iterator empty?"):
        GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=[]).fit(*RIDGE_DATA)


def test_splitters_that_cannot_count():
    class Miscounting(KFold):
        def get_n_splits(self, X=None, y=None, groups=None):
            return 4

    with pytest.raises(ValueError, match=r"return inconsistent results. Expected 4 splits, got 3"):
        _ridge_search(Miscounting(3)).fit(*RIDGE_DATA)


def test_out_of_range_is_said_before_anything_is_computed():
    for fold in (([0, 1], [20]), ([0, 1, -21], [3])):
        with pytest.raises(IndexError, match="out of bounds"):
            _ridge_search([fold]).fit(*RIDGE_DATA)


def test_an_empty_test_part_scores_as_in_scikit_learn():
    cv = [(np.arange(10), np.arange(10, 20)), (np.arange(10), np.arange(0))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=cv).fit(*RIDGE_DATA)
        search = _ridge_search(cv).fit(*RIDGE_DATA)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name])


def _fails_on_pairs(estimator, X, y):
    if len(y) == 2:
        raise RuntimeError("two are not enough")
    return estimator.score(X, y)


@pytest.mark.filterwarnings("ignore")
def test_a_fold_that_fails_leaves_the_others(data):
    scores = {}
    for objective in ("one_pass", "cv"):
        search = TwoStagePSOSearchCV(
            Pipeline([("same", "passthrough"), ("gap", GAPRegressor(n_sparse=2))]), {},
            {"gap__n_sparse": [2]}, stage_one_objective=objective, scoring=_fails_on_pairs,
            cv=[(np.arange(8), np.arange(8, 12)), (np.arange(8), np.arange(8, 10))], refit=False,
        ).fit(*data)
        scores[objective] = [search.cv_results_[f"split{k}_test_score"][0] for k in range(2)]
    assert np.isfinite(scores["one_pass"][0])
    assert np.isnan(scores["one_pass"][1])
    np.testing.assert_allclose(scores["one_pass"], scores["cv"], rtol=1e-9)
