"""A ridge regression that offers a fold session, in a module that worker processes can import."""

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import Ridge


class RidgeSession:
    """Folds of a ridge regression from one eigendecomposition each, for any `alpha`."""

    def __init__(self, ridge, Z, y, splits):
        RidgeWithSession.n_sessions += 1
        self.ridge, self.tests, self.parts = ridge, [(Z[b], y[b]) for _, b in splits], []
        for train, _ in splits:
            means = Z[train].mean(axis=0), y[train].mean()
            U, s, Vt = np.linalg.svd(Z[train] - means[0], full_matrices=False)
            self.parts.append((means, s, Vt, U.T @ (y[train] - means[1])))

    def models(self, params):
        models = []
        for (mean, mean_y), s, Vt, projected in self.parts:
            model = clone(self.ridge).set_params(**params)
            model.coef_ = Vt.T @ (s / (s**2 + model.alpha) * projected)
            model.intercept_ = mean_y - mean @ model.coef_
            models.append(model)
        return models

    def tune(self, params, bounds, metrics):
        def score(alpha):
            models = self.models({**params, "alpha": alpha})
            tests = zip(models, self.tests, strict=True)
            return np.mean([metrics[0](model, Z, y) for model, (Z, y) in tests])

        return {"alpha": max(np.geomspace(*bounds["alpha"], 7), key=score)}


class RidgeWithSession(Ridge):
    n_sessions = 0

    def fold_session(self, Z, y, splits):
        return RidgeSession(self, Z, y, splits)

    def self_tuned_parameters(self, searched):
        return ("alpha",)
