"""Estimators of scikit-learn that model files may hold, fitted to small data."""

from functools import cache

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVR
from sklearn.utils import all_estimators

from skdesc.io._classes import _SKLEARN

_PARAMETERS = {"n_components": 2, "n_quantiles": 10, "random_state": 0, "max_iter": 20000}
_SCALED = ("scale", StandardScaler())
WRAPPERS = {
    "BaggingRegressor": BaggingRegressor(Ridge(), 3, max_features=3, random_state=0),
    "ColumnTransformer": ColumnTransformer([("a", StandardScaler(), [0, 2]),
                                            ("b", MinMaxScaler(), slice(1, 2))]),
    "FeatureUnion": FeatureUnion([("a", StandardScaler()), ("b", FunctionTransformer(None))]),
    "Pipeline": Pipeline([_SCALED, ("square", PolynomialFeatures(2)), ("ridge", Ridge())]),
    "StackingRegressor": StackingRegressor([("a", Ridge()), ("b", SVR())], Ridge(), cv=3),
    "TransformedTargetRegressor": TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
    "VotingRegressor": VotingRegressor([("a", Ridge()), ("b", SVR())]),
}
_SPECIAL = {
    "GaussianProcessRegressor": GaussianProcessRegressor(
        ConstantKernel(2.0) * RBF([1.0, 1.0, 2.0, 2.0]) + WhiteKernel(0.1), optimizer=None
    ),
}


def listed():
    """Classes that files may hold and that can be fitted, but for those that wrap others.

    Returns
    -------
    list of type
        By name.
    """
    known = dict(all_estimators())
    names = {name for names in _SKLEARN.values() for name in names.split()}
    return [known[name] for name in sorted((names & known.keys()) - WRAPPERS.keys())]


def data(name):
    """Features and targets that an estimator is fitted to.

    Parameters
    ----------
    name : str
        Name of its class.

    Returns
    -------
    X : ndarray of shape (30, 4) or (30, 30)
        Features; covariances where they are needed.
    y : ndarray of shape (30,)
        Targets.
    """
    rng = np.random.default_rng(0)
    X = rng.random((30, 4))
    y = X @ [1.0, 2.0, -1.0, 0.5] + 0.01 * rng.normal(size=30)
    return (X @ X.T if name == "KernelCenterer" else X), y


@cache
def fitted(name):
    """Make a fitted estimator.

    Parameters
    ----------
    name : str
        Name of its class.

    Returns
    -------
    estimator
        Always the same; nobody should change it.
    """
    model = (WRAPPERS | _SPECIAL).get(name)
    if model is None:
        model = {cls.__name__: cls for cls in listed()}[name]()
        model.set_params(**{key: value for key, value in _PARAMETERS.items()
                            if key in model.get_params()})
    return model.fit(*data(name))


def predictions(name, model):
    """All that a model says of the features that it was fitted to.

    Parameters
    ----------
    name : str
        Name of its class.
    model : estimator
        A fitted model.

    Returns
    -------
    list of ndarray
        Predictions or transformed features.
    """
    # arrays that were views of larger ones have become compact, which may change last digits
    X = data(name)[0][::-1].copy()
    method = "predict" if hasattr(model, "predict") else "transform"
    return [np.asarray(getattr(model, method)(X))]
