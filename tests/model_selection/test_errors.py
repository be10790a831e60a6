"""What is wrong is said before anything is computed, with the argument, its value, the remedy."""

import numpy as np
import pytest
from model_selection.toys import Picky
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skdesc import TwoStagePSOSearchCV

X = np.random.RandomState(0).normal(size=(30, 4))
y = X[:, 0] + 2 * X[:, 1]


class _NeverFitted(Ridge):
    def fit(self, X, y=None, **params):
        raise AssertionError("something was computed")


def _search(**changes):
    settings = {
        "estimator": make_pipeline(PCA(), _NeverFitted()),
        "transformer_space": {"pca__n_components": [1, 2]},
        "regressor_space": {"_neverfitted__alpha": [0.1, 1.0]},
        "error_score": "raise",
        "cv": 3,
        **changes,
    }
    return TwoStagePSOSearchCV(**settings)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"transformer_space": {"pca__n_component": [1]}}, "did you mean 'pca__n_components'"),
        (
            {"regressor_space": {"nothing__alpha": [1]}},
            "'nothing__alpha', which is not a parameter",
        ),
        ({"regressor_space": {"pca__n_components": [1, 2]}}, "each parameter belongs to one"),
        ({"transformer_space": {}, "regressor_space": {}}, "are both empty"),
        ({"transformer_space": {"_neverfitted__solver": ["svd"]}}, "move them to regressor_space"),
        ({"regressor_space": {"pca__whiten": [True]}}, "move them to transformer_space"),
        ({"n_particles": 0}, "n_particles is 0, but must be an integer of at least 1"),
        ({"n_particles": 2.5}, "n_particles is 2.5"),
        ({"n_iterations": 0}, "n_iterations is 0"),
        ({"n_iterations": (3, 0)}, "n_iterations is 0"),
        ({"n_particles": (1, 2, 3)}, "must be an integer, or a pair of them"),
        ({"n_particles": (12, 1), "init": [{}]}, "raise n_particles"),
        ({"random_state": -1}, "-1 cannot be used to seed|Seed must be between"),
        ({"n_cycles": True}, "n_cycles is True"),
        ({"n_warm_up": -1}, "n_warm_up is -1, but must be an integer of at least 0"),
        ({"early_stopping": 0}, "early_stopping is 0"),
        ({"max_time": -1}, "max_time is -1, but must be a number of at least 0"),
        ({"topology": "pyramid"}, "topology is 'pyramid'"),
        ({"strategy": "three"}, "strategy is 'three'"),
        ({"stage_one_objective": "luck"}, "stage_one_objective is 'luck'"),
        ({"error_score": "ignore"}, "error_score is 'ignore'"),
        ({"swarm": "bees"}, "swarm is 'bees'"),
        ({"swarm": {"speed": 1}}, "unknown options"),
        ({"swarm": {"bounds": "open"}}, "swarm\\['bounds'\\] is 'open'"),
        ({"swarm": {"inertia": (1, 2, 3)}}, "swarm\\['inertia'\\]"),
        ({"swarm": {"inertia": "fast"}}, "swarm\\['inertia'\\] is 'fast'"),
        ({"swarm": {"inertia": (0.9, np.nan)}}, "swarm\\['inertia'\\]"),
        ({"swarm": {"social": np.nan}}, "swarm\\['social'\\] is nan, but must be a number"),
        ({"swarm": {"cognitive": "a"}}, "swarm\\['cognitive'\\] is 'a'"),
        ({"swarm": {"cognitive": -1.0}}, "swarm\\['cognitive'\\] is -1.0"),
        ({"cache_features": "no"}, "cache_features is 'no', but must be True or False"),
        ({"swarm": {"velocity_clamp": "a"}}, "swarm\\['velocity_clamp'\\] is 'a'"),
        ({"swarm": {"velocity_clamp": 0}}, "swarm\\['velocity_clamp'\\]"),
        ({"init": [{"pca__n_components": 3}]}, "outside its space"),
        ({"init": [{"alpha": 3}]}, "in neither space"),
        ({"init": [{}] * 12}, "raise n_particles"),
        ({"scoring": ["r2", "neg_mean_absolute_error"]}, "set objective"),
        ({"scoring": ["r2", "neg_mean_absolute_error"], "refit": "r3"}, "refit is 'r3'"),
        ({"scoring": "neg_forces_rmse"}, "skdesc.metrics.SCORERS\\['neg_forces_rmse'\\]"),
        ({"scoring": {"f": "r3"}, "refit": "f"}, "scoring names \\['r3'\\], but sklearn"),
        ({"scoring": []}, "scoring is \\[\\], but must name at least one"),
        ({"scoring": {"r2"}, "refit": "r2"}, "'scoring' parameter of TwoStagePSOSearchCV must"),
        ({"scoring": 5}, "'scoring' parameter of TwoStagePSOSearchCV must"),
        ({"n_jobs": "all"}, "'n_jobs' parameter of TwoStagePSOSearchCV must"),
        ({"refit": 3}, "'refit' parameter of TwoStagePSOSearchCV must"),
        ({"scoring": ["r2"], "objective": "r3"}, "objective is 'r3'"),
        ({"objective": []}, "objective is \\[\\]"),
        (
            {
                "transformer_space": {"_neverfitted__alpha": [1, 2]},
                "regressor_space": {},
                "stage_one_objective": "alignment",
            },
            "does not depend on",
        ),
    ],
)
def test_refused_before_anything_is_computed(changes, match):
    with pytest.raises(ValueError, match=match):
        _search(**changes).fit(X, y)


def test_wrong_types():
    with pytest.raises(TypeError, match="transformer_space is of type list"):
        _search(transformer_space=[1]).fit(X, y)
    with pytest.raises(TypeError, match="transformer_space has the key 1, but names must be str"):
        _search(transformer_space={1: [1], "pca__whiten": [True]}).fit(X, y)
    with pytest.raises(TypeError, match="init is"):
        _search(init={"pca__n_components": 1}).fit(X, y)
    with pytest.raises(TypeError, match="init holds 5, but must be a list of dicts"):
        _search(init=[5]).fit(X, y)
    with pytest.raises(TypeError, match="objective is 5, but must be the name of a metric"):
        _search(objective=5).fit(X, y)
    with pytest.raises(TypeError, match="checkpoint is 3, but must be the path of a file"):
        _search(checkpoint=3).fit(X, y)


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="is a folder; name a file in it"):
        _search(checkpoint=tmp_path).fit(X, y)


def test_a_first_stage_that_never_knows_is_said():
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(2), Ridge()),
        {"pca__n_components": [1, 2]},
        {"ridge__alpha": [0.1, 1.0]},
        stage_one_objective=lambda estimator, Z, y, params: np.nan,
        n_iterations=2, cv=3, random_state=0,
    )
    with pytest.warns(UserWarning, match="stage 1 has found no finite value of its objective"):
        search.fit(X, y)
    assert search.best_params_["pca__n_components"] == 2


def test_no_transformer():
    search = _search(
        estimator=make_pipeline(_NeverFitted()),
        transformer_space={"_neverfitted__solver": ["svd"]},
    )
    with pytest.raises(ValueError, match="has no transformer before its last step"):
        search.fit(X, y)


@pytest.mark.parametrize("objective", ["cv", "alignment", "ridge", "loo"])
def test_missing_target(objective):
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        _search(stage_one_objective=objective).fit(X)


def test_lengths():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        _search().fit(X, y[:-1])


def test_loo_without_residuals():
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), Ridge()),
        {"pca__n_components": [1, 2]},
        {"ridge__alpha": loguniform(1e-3, 1)},
        stage_one_objective="loo",
    )
    with pytest.raises(TypeError, match="Ridge has no `loo_` after fit; use 'cv'"):
        search.fit(X, y)


@pytest.mark.parametrize("error_score", [np.nan, -100.0])
def test_every_candidate_fails(error_score):
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), Picky(refuse_below=100.0)),
        {"pca__n_components": [1, 2]},
        {"picky__level": [0.0, 1.0]},
        error_score=error_score, n_iterations=2, cv=3, random_state=0,
    )
    with pytest.raises(ValueError, match=r"No candidate.* of \d candidates failed.*is refused"):
        search.fit(X, y)
    with pytest.raises(ValueError, match="No candidate"):
        clone(search).set_params(stage_one_objective="alignment").fit(X, y)


@pytest.mark.parametrize("several", [False, True])
def test_every_score_is_nan(several):
    """As scikit-learn has it: a warning, and the first candidate is the best."""
    scoring = {"a": _no_score, "b": _no_score} if several else _no_score
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), Ridge()),
        {"pca__n_components": [1, 2]},
        {"ridge__alpha": [0.1, 1.0]},
        scoring=scoring, objective=["a", "b"] if several else None, n_iterations=2, cv=3,
        n_particles=3, random_state=0,
    )
    with pytest.warns(UserWarning, match="finite") as record:
        search.fit(X, y)
    texts = [str(warning.message) for warning in record]
    assert any("One or more of the test scores are non-finite" in text for text in texts)
    assert any("has found no finite value of its objective" in text for text in texts)
    assert search.best_index_ == 0
    assert search.best_params_ == search.cv_results_["params"][0]
    assert np.isnan(search.best_score_)
    assert search.pareto_front_ == []
    assert search.predict(X).shape == (30,)


def _no_score(estimator, X, y):
    return np.nan
