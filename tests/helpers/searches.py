"""Searches that several modules of tests run."""

import numpy as np
from model_selection.toys import ForcesRidge, PairCounts
from scipy.stats import loguniform, randint, uniform
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline

from skdesc import TwoStagePSOSearchCV

SPACES = (
    {"pca__n_components": randint(1, 7), "pca__whiten": [False, True]},
    {"ridge__alpha": loguniform(1e-4, 10)},
)


def pca_search(**options):
    settings = {"n_particles": 4, "n_iterations": 3, "cv": 3, "random_state": 0, **options}
    spaces = settings.pop("spaces", SPACES)
    return TwoStagePSOSearchCV(make_pipeline(PCA(), Ridge()), *spaces, **settings)


def pair_search(*spaces, **options):
    settings = {"n_particles": 3, "n_iterations": 3, "cv": 3, "random_state": 0, **options}
    spaces = spaces or (
        {"pairs__cutoff": uniform(0.5, 3), "pairs__width": [0.2, 0.5]},
        {"ridge__alpha": loguniform(1e-6, 1e-1)},
    )
    pipeline = Pipeline([("pairs", PairCounts()), ("ridge", ForcesRidge())])
    return TwoStagePSOSearchCV(pipeline, *spaces, **settings)


def assert_same(first, second):
    assert first.best_params_ == second.best_params_
    assert first.cv_results_["params"] == second.cv_results_["params"]
    for key, values in first.cv_results_.items():
        if "time" not in key:
            np.testing.assert_array_equal(values, second.cv_results_[key])
    assert first.n_models_trained_ == second.n_models_trained_
    assert first.n_feature_evaluations_ == second.n_feature_evaluations_
