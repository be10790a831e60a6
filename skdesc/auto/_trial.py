"""Fit of one candidate to part of the data with a number of sparse points."""

from __future__ import annotations

import time
import warnings
from copy import copy

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ..exceptions import UntrustworthyFitError, UntrustworthyFitWarning
from ._candidates import Candidate
from ._cost import Size, Timing
from ._data import LabeledStructures
from ._errors import errors_of, predict_all, residuals, score, tightest
from ._noise import adjust_noise

# number of atoms with which the time of a prediction is measured
_ATOMS_TO_TIME = 200
# noise is adjusted on part of the held-back structures, with about this many atoms
_ATOMS_TO_ADJUST = 1500
_NOISE = ("sigma_energy", "sigma_forces", "sigma_virials")


class Trial:
    """A candidate with a number of sparse points, fitted to part of the training structures.

    Parameters
    ----------
    candidate : Candidate
        The candidate.
    points : int
        Sparse points per element; the default pipeline keeps the number of its regressor.
    data : LabeledStructures
        All structures.
    split : list of (train, held_back)
        Index arrays.
    n_jobs, random_state : int or None
        Parameters of the estimators.

    Attributes
    ----------
    split : list of (train, held_back)
        Index arrays.
    transformer : estimator
        Transformer fitted to the first training part.
    regressors : list of GAPRegressor
        One regressor for each pair of the split.
    noise : dict of str to float
        Noise levels.
    errors : dict of str to float
        Held-back errors.
    timing : Timing
        Measured times.
    time_per_atom : float
        Seconds for energy and forces of an atom.
    """

    def __init__(self, candidate: Candidate, points: int, data: LabeledStructures, split,
                 n_jobs=None, random_state=0):
        self.candidate, self.points = candidate, points
        self.n_jobs, self.random_state = n_jobs, random_state
        self._data, self.split = data, split
        self.quantities = data.quantities
        self.errors: dict[str, float] = {}
        self.noise: dict[str, float] = {}
        self.time_per_atom = np.nan
        # initial noise, in place of the candidate's
        self.first_noise: dict[str, float] = {}

    @property
    def score(self) -> float:
        """Score of the held-back errors, without a reference."""
        return score(self.errors) if self.errors else -np.inf

    @property
    def learned(self) -> np.ndarray:
        """Number of structures that the first regressor has learned."""
        return self.split[0][0]

    @property
    def seconds(self) -> float:
        """Seconds that fit and adjustment of noise took."""
        return self._seconds

    def fit(self) -> Trial:
        """Fit to the training parts."""
        start = time.perf_counter()
        self.transformer = self.candidate.descriptor(self.n_jobs)
        train = self.split[0][0]
        self.transformer.fit([self._data.frames[i] for i in train])
        self.n_features = getattr(self.transformer, "n_features_out_", None)
        self.regressors, self._held_back = [], []
        describing = learning = 0.0
        for train, held_back in self.split:
            part = self._data.take(train)
            before = time.perf_counter()
            features = self.transformer.transform(part.frames)
            self._held_back.append(
                self.transformer.transform([self._data.frames[i] for i in held_back])
            )
            described = time.perf_counter()
            regressor = self.candidate.regressor(self.points, self.n_jobs, self.random_state)
            regressor.set_params(**self.first_noise)
            self.regressors.append(regressor.partial_fit(features, part.y, **part.metadata))
            describing += described - before
            learning += time.perf_counter() - described
        self.timing = Timing(self.size(), describing, learning)
        self._seconds = time.perf_counter() - start
        self._read_noise()
        return self

    def size(self, split=None, scale: float = 1.0) -> Size:
        """Size of a fit of this candidate.

        Parameters
        ----------
        split : list of (train, held_back), default=None
            Index arrays; by default those of this trial.
        scale : float, default=1.0
            Factor of the number of sparse points per element.

        Returns
        -------
        Size
            The size, with no more sparse points than atoms.
        """
        data, split = self._data, split or self.split
        train = np.concatenate([pair[0] for pair in split])
        held_back = np.concatenate([pair[1] for pair in split])
        n_points = np.mean([len(regressor.weights_) for regressor in self.regressors])
        n_points *= self._most_points(split, scale) / self._most_points(self.split)
        return Size(
            int(data.n_atoms[train].sum()),
            int(data.n_rows[train].sum()),
            int(data.n_atoms[held_back].sum()),
            max(1, int(n_points)),
        )

    def _most_points(self, split, scale: float = 1.0) -> float:
        """Number of sparse points if all environments differ."""
        atoms = np.mean([self._data.n_atoms_of_elements[train].sum(axis=0) for train, _ in split],
                        axis=0)
        n_sparse = self.candidate.n_sparse(self.points)
        return sum(np.minimum(scale * n, atoms).sum() for n in n_sparse)

    def evaluate(self) -> dict[str, float]:
        """Compute the held-back errors."""
        start = time.perf_counter()
        self.errors = errors_of(self.held_back_residuals())
        self._seconds += time.perf_counter() - start
        return self.errors

    def held_back_residuals(self, step: int = 1) -> dict[str, list[np.ndarray]]:
        """Compute residuals of the held-back structures, fold after fold.

        Parameters
        ----------
        step : int, default=1
            Step between the structures that are used.

        Returns
        -------
        dict of str to list of ndarray
            Residuals as from :func:`residuals`.
        """
        result: dict[str, list] = {}
        for features, regressor, (_, held_back) in zip(
            self._held_back, self.regressors, self.split, strict=True
        ):
            chosen = np.arange(0, len(held_back), step)
            part = self._data.take(held_back[chosen])
            predicted = predict_all(regressor, part, features[chosen] if step > 1 else features)
            for quantity, blocks in residuals(part, predicted).items():
                result.setdefault(quantity, []).extend(blocks)
        return result

    def adjust(self, factors, references, has_time, guess=None) -> dict[str, float]:
        """Adjust the noise on held-back structures, and compute their errors.

        Parameters
        ----------
        factors : tuple of float
            Factors to try, see :func:`adjust_noise`.
        references : sequence of dict of str to list of ndarray
            Residuals of models whose errors should not be exceeded.
        has_time : callable
            Whether another evaluation may begin.
        guess : dict of str to float, default=None
            Initial noise levels, used if they are better than the present ones.

        Returns
        -------
        dict of str to float
            Held-back errors.
        """
        start = time.perf_counter()
        step = max(1, self.timing.size.n_held_back // _ATOMS_TO_ADJUST)
        limits = tightest(references, step)

        def evaluate(noise):
            """Return the score of noise levels; minus infinity if rounding spoils the model."""
            with warnings.catch_warnings():
                warnings.simplefilter("error", UntrustworthyFitWarning)
                try:
                    if noise != self.noise:
                        self.solve(noise)
                except (UntrustworthyFitError, UntrustworthyFitWarning):
                    self.noise = {}
                    return -np.inf
            before = time.perf_counter()
            result = score(errors_of(self.held_back_residuals(step)), limits)
            self.timing.predict = time.perf_counter() - before
            return result

        if self._data.sigmas is None:
            first = dict(self.noise)
            if guess is not None and evaluate(first) < evaluate(guess):
                first = guess
            best = adjust_noise(first, self.quantities, factors, evaluate, has_time)
            if best != self.noise:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UntrustworthyFitWarning)
                    self.solve(best)
        self._seconds += time.perf_counter() - start
        return self.evaluate()

    def solve(self, noise: dict[str, float]) -> None:
        """Set the noise of all regressors."""
        start = time.perf_counter()
        for regressor in self.regressors:
            regressor.set_params(**noise).solve()
        self.timing.solve = time.perf_counter() - start
        self._read_noise()

    def _read_noise(self):
        self.noise = {name: getattr(self.regressors[0], name) for name in _NOISE}

    def measure_time_per_atom(self) -> float:
        """Measure the time of energies and forces of some held-back atoms, the best of three."""
        frames, n_atoms = [], 0
        for index in self.split[0][1]:
            frames.append(self._data.frames[index])
            n_atoms += len(frames[-1])
            if n_atoms >= _ATOMS_TO_TIME:
                break
        pipeline, best = self.pipeline(), np.inf
        for _ in range(3):
            start = time.perf_counter()
            pipeline.predict(frames, return_forces=True)
            best = min(best, time.perf_counter() - start)
        self.time_per_atom = best / n_atoms
        return self.time_per_atom

    def pipeline(self) -> Pipeline:
        """Pipeline of the transformer and the first regressor, both fitted."""
        return Pipeline([("descriptor", self.transformer), ("gap", self.regressors[0])])

    def pipeline_without_data(self) -> Pipeline:
        """Pipeline that does not change if noise changes or more data are learned."""
        regressor = copy(self.regressors[0])
        regressor._training = None
        return Pipeline([("descriptor", self.transformer), ("gap", regressor)])

    def learn_more(self, index: np.ndarray) -> None:
        """Fit the regressor of a single pair to further structures."""
        part = self._data.take(index)
        features = self.transformer.transform(part.frames)
        self.regressors[0].partial_fit(features, part.y, **part.metadata)

    @property
    def has_data(self) -> bool:
        """Whether the regressors can still learn and change noise, see :meth:`release`."""
        return self.regressors[0]._training is not None

    def learn_all(self, noise: dict[str, float]) -> Pipeline:
        """Fit to all structures from scratch with given noise; return the pipeline."""
        regressor = self.candidate.regressor(self.points, self.n_jobs, self.random_state)
        regressor.set_params(**noise)
        transformer = clone(self.transformer)
        features = transformer.fit_transform(self._data.frames)
        regressor.fit(features, self._data.y, **self._data.metadata)
        return Pipeline([("descriptor", transformer), ("gap", regressor)])

    def release(self) -> None:
        """Release the data of the regressors, which take most of the memory."""
        self._held_back = []
        for regressor in self.regressors:
            regressor._training = None
        self.regressors = self.regressors[:1]
