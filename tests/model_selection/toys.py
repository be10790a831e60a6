"""Small estimators that record how they are called; importable by worker processes."""

import numpy as np
from ase.build import molecule
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from threadpoolctl import threadpool_info


def shaken_molecules():
    """Molecules of four kinds, and a target that pair distances determine."""
    rng = np.random.RandomState(0)
    frames = []
    for name in ("H2O", "CH4", "NH3", "C2H6") * 6:
        atoms = molecule(name)
        atoms.rattle(0.1, rng=rng)
        frames.append(atoms)
    return frames, np.array([sum(1 / (1 + a.get_all_distances().ravel() ** 2)) for a in frames])


def most_threads(*_):
    """Objective: the largest thread pool of the process that evaluates it."""
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


class PairCounts(TransformerMixin, BaseEstimator):
    """Stateless descriptor: number of atoms, and soft counts of pairs nearer than a cutoff."""

    _stateless_given_parameters = True
    calls = []

    def __init__(self, cutoff=2.0, width=0.5):
        self.cutoff = cutoff
        self.width = width

    def fit(self, X, y=None):
        if self.width == "broken":
            raise RuntimeError("width is broken")
        self.n_fitted_ = len(X)
        return self

    def transform(self, X):
        PairCounts.calls.append((len(X), type(X).__name__))
        rows = []
        for atoms in X:
            distances = atoms.get_all_distances()
            near = 1.0 / (1.0 + np.exp((distances - self.cutoff) / self.width))
            rows.append([len(atoms), near.sum(), (near**2).sum(), (near * distances).sum()])
        return np.array(rows)


class ForcesRidge(RegressorMixin, BaseEstimator):
    """Ridge regression that insists on forces of the right lengths, if it is given any."""

    __metadata_request__fit = {"forces": True}

    def __init__(self, alpha=1e-3, need_forces=False):
        self.alpha = alpha
        self.need_forces = need_forces

    def fit(self, X, y, *, forces=None):
        if forces is None and self.need_forces:
            raise TypeError("no forces have arrived")
        if forces is not None:
            assert [len(block) for block in forces] == X[:, 0].astype(int).tolist()
        self.mean_ = X.mean(axis=0), X.std(axis=0) + 1e-9
        design = self._design(X)
        gram = design.T @ design + self.alpha * np.eye(design.shape[1])
        inverse = np.linalg.inv(gram)
        self.coef_ = inverse @ design.T @ y
        leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
        self.loo_ = (y - design @ self.coef_) / (1.0 - leverage)
        return self

    def predict(self, X, return_norm=False):
        y = self._design(X) @ self.coef_
        return (y, float(np.linalg.norm(self.coef_))) if return_norm else y

    def _design(self, X):
        return np.column_stack([np.ones(len(X)), (X - self.mean_[0]) / self.mean_[1]])


class Picky(RegressorMixin, BaseEstimator):
    """Regressor that predicts `level` and refuses some values of it."""

    def __init__(self, level=0.0, refuse_below=-np.inf):
        self.level = level
        self.refuse_below = refuse_below

    def fit(self, X, y):
        if self.level < self.refuse_below:
            raise RuntimeError(f"level {self.level} is refused")
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), float(self.level))


class FoldsRidgeSession:
    """Fits to the training parts of folds, and a search for `alpha`, both of them recorded."""

    def __init__(self, ridge, Z, y, splits, forces):
        self.ridge, self.data, self.splits, self.forces = ridge, (Z, y), splits, forces

    def models(self, params):
        FoldsRidge.calls.append("fit")
        models, (Z, y) = [], self.data
        for train, _ in self.splits:
            part = None if self.forces is None else [self.forces[i] for i in train]
            model = clone(self.ridge).set_params(**params)
            models.append(model.fit(Z[train], y[train], forces=part))
        return models

    def tune(self, params, bounds, metrics):
        FoldsRidge.calls.append("find")
        FoldsRidge.asked = metrics, bounds
        return {"alpha": best_alpha(*self.data, self.forces)}


def best_alpha(Z, y, forces=None):
    """Regularisation of least leave-one-out error."""
    grid = np.logspace(-7, 1, 9)
    errors = [np.sum(ForcesRidge(alpha).fit(Z, y, forces=forces).loo_ ** 2) for alpha in grid]
    return float(grid[np.argmin(errors)])


class FoldsRidge(ForcesRidge):
    """Offers a session for all folds, which finds `alpha` by itself if asked to."""

    calls = []
    asked = None

    def fold_session(self, Z, y, splits, *, forces=None):
        return FoldsRidgeSession(self, Z, y, splits, forces)

    def self_tuned_parameters(self, searched):
        return () if "need_forces" in searched else ("alpha",)

    def feature_bound_parameters(self, searched):
        return ("need_forces",)
