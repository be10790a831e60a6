"""``AutoPotential``: the best potential that can be found within a given time."""

from __future__ import annotations

import numbers
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..utils.atomic import atomic
from ..utils.files import replace_file
from ..utils.html import FittedCaption
from ..utils.threads import check_n_jobs
from ..utils.typing import Noise, PathName, PerStructure, Samples, typed_predict
from ..utils.user_warnings import warn_user
from ._cost import Clock
from ._data import LabeledStructures, collect
from ._errors import errors_of, predict_all, residuals
from ._labels import warn_of_targets
from ._outcome import Outcome, fit_default, search_best, select
from ._plan import Search
from ._report import make_page
from ._split import FEWEST, make_split

if TYPE_CHECKING:
    from ..calculator import SkdescCalculator


class AutoPotential(FittedCaption, RegressorMixin, BaseEstimator):
    """Find and fit a good potential within a given time.

    The default pipeline, ``SOAPTransformer()`` and ``GAPRegressor()``, is fitted first. Then
    other descriptors (pairs, near and far SOAP, tensor-reduced descriptors of two and three
    neighbors, mixing weights for many elements), numbers of sparse points and noise levels are
    compared on held-back structures, first with a small part of the data and few sparse points;
    the better candidates get more of both. No error of the returned model on held-back structures,
    of any quantity, exceeds 1.02 times that of the default pipeline. At the end the model is
    fitted to the held-back structures, too.

    Parameters
    ----------
    time_budget : float, default=600
        Time limit of a fit in seconds. The fit ends earlier if nothing remains to be tried, or
        with the best model so far after Ctrl-C. The first fits are made even if they take longer.
    time_per_atom : float, default=None
        Limit of the seconds for energy and forces of one atom, measured on this machine with
        about 200 atoms at a time. If given, the best model within the limit is returned, even if
        the slower default pipeline has smaller errors.
    n_jobs : int, default=None
        Number of threads of the estimators, -1 for all cores, None for one.
    random_state : int, RandomState or None, default=None
        Seed for the choice of held-back structures and for all estimators. The candidates and
        their numbers of sparse points also depend on measured times, so two fits with the same
        seed can differ.
    verbose : int, default=0
        Whether to print progress to the standard error stream.

    Attributes
    ----------
    pipeline_ : Pipeline
        The potential, with steps "descriptor" and "gap": an ordinary pipeline of this package
        that can be saved, exported, and searched further.
    leaderboard_ : list of dict
        Models that were tried, the best first: "candidate", held-back errors ("energy_mae",
        "energy_rmse", "forces_mae", ..., in eV per atom and eV/angstrom; virials in eV per
        atom), "score" (minus the mean logarithm of the errors of energies and forces),
        "time_per_atom" in seconds, "share" of the data learned from, "n_structures",
        "n_points" (sparse points), "seconds" it took, noise levels, and whether it is "chosen".
        Candidates that could not be fitted have "failure" instead of errors.
    front_ : list of dict
        Entries that no other beats in both score and time per atom, the fastest first, each
        with its fitted "pipeline", which has not learned from the held-back structures; see
        :meth:`select`.
    improvement_ : dict of str to float
        Held-back errors relative to those of the default pipeline. Empty if no structures could
        be held back or the default could not be fitted.
    held_back_ : ndarray of int
        Structures on which candidates were compared. In a small set each fifth is held back in
        turn, so these are all structures.
    has_learned_all_ : bool
        Whether `pipeline_` has learned from all structures, including held-back ones.
    warnings_ : list of str
        Warnings of the fit.
    seconds_ : float
        Time of the fit.

    See Also
    --------
    TwoStagePSOSearchCV : Search over a pipeline of your own.
    GAPRegressor : The regressor of every candidate.

    Notes
    -----
    Consecutive structures of a kind (by `config_types`, or by elements and periodicity) are held
    back in blocks, because neighbors in time of a trajectory are nearly copies of one another.
    Isolated atoms, and structures that are the only ones with an element, are always learned.
    With `sigmas` the noise is not adjusted. If there are fewer than five structures, none is held
    back: the default pipeline is fitted to them, with a warning.

    Examples
    --------
    >>> from skdesc import AutoPotential
    >>> from skdesc.datasets import load_carbon_dimer
    >>> data = load_carbon_dimer()
    >>> frames = [data.frames[i] for i in data.train]
    >>> auto = AutoPotential(time_budget=5, random_state=0).fit(frames)
    >>> auto.leaderboard_[0]["chosen"]
    True
    >>> all(ratio <= 1.02 for ratio in auto.improvement_.values())
    True
    >>> energies, forces = auto.predict(frames[:2], return_forces=True)
    """

    __metadata_request__fit = dict.fromkeys(("forces", "virials", "sigmas", "config_types"), True)
    __metadata_request__predict = dict.fromkeys(
        ("return_std", "return_forces", "return_virials"), True
    )

    def __init__(
        self,
        *,
        time_budget: float = 600,
        time_per_atom: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.time_budget = time_budget
        self.time_per_atom = time_per_atom
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @atomic
    def fit(
        self,
        X: Samples,
        y: PerStructure | None = None,
        *,
        forces: PerStructure | None = None,
        virials: PerStructure | None = None,
        sigmas: Noise | None = None,
        config_types: PerStructure | None = None,
    ) -> AutoPotential:
        """Search for a potential and fit it.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        y : array-like of shape (n_structures,), default=None
            Total energies, in eV; NaN where one is not known. None to read energies, forces and
            virials from the structures, see :func:`skdesc.extract_targets`.
        forces : sequence of array-like of shape (n_atoms, 3), default=None
            Forces of each structure, in eV/angstrom; None or NaN where they are not known.
        virials : array-like of shape (n_structures, 3, 3), default=None
            Virials, in eV; None or NaN where they are not known.
        sigmas, config_types : object, default=None
            Arguments of :meth:`skdesc.GAPRegressor.fit`. Kinds are read from ``atoms.info`` if
            every structure has a "config_type".

        Returns
        -------
        self : AutoPotential
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If structures, targets or parameters are invalid, or no candidate could be fitted.

        Warns
        -----
        TimeBudgetWarning
            If the default pipeline could learn from only part of the data, or there was no time
            to learn from the held-back structures.
        SuspiciousTargetsWarning, UserWarning
            If labels look wrong or are missing; if no model is as fast as `time_per_atom`, or
            structures are too few to compare models.
        """
        self._check_parameters()
        clock = Clock(float(self.time_budget))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data = collect(X, y, forces=forces, virials=virials, sigmas=sigmas,
                           config_types=config_types)
            outcome = self._find(data, clock)
        self._data = data
        self._become(outcome)
        told = {str(warning.message): warning.category for warning in caught}
        self.warnings_ = list(told)
        self.seconds_ = clock.elapsed
        for text, category in told.items():
            warn_user(text, category)
        return self

    def _find(self, data: LabeledStructures, clock: Clock) -> Outcome:
        """Hold structures back and run the search."""
        warn_of_targets(data)
        rng = check_random_state(self.random_state)
        split = make_split(data, rng, clock.budget) if len(data) >= FEWEST else []
        seed = int(rng.randint(2**31 - 1))
        if not split:
            return fit_default(data, self.n_jobs, seed)
        return search_best(Search(
            data, split, clock, time_per_atom=self.time_per_atom, n_jobs=self.n_jobs,
            random_state=seed, verbose=self.verbose,
        ))

    def _become(self, outcome: Outcome):
        """Set attributes from the results of a search."""
        self._outcome = outcome
        self.pipeline_, self.has_learned_all_ = outcome.pipeline, outcome.has_learned_all
        self.leaderboard_, self.front_ = outcome.leaderboard, outcome.front
        self.improvement_, self.held_back_ = outcome.improvement, outcome.held_back

    def _check_parameters(self):
        for name in ("time_budget", "time_per_atom"):
            value = getattr(self, name)
            if value is None and name == "time_per_atom":
                continue
            is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            if not is_number or not 0 < value < np.inf:
                raise ValueError(f"{name} is {value!r}, but must be a positive number of seconds; "
                                 "give one")
        check_n_jobs(self.n_jobs)

    @typed_predict
    def predict(
        self,
        X: Samples,
        return_std: bool = False,
        return_forces: bool = False,
        return_virials: bool = False,
    ) -> Any:
        """Predict energies and, on request, other quantities.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        return_std : bool, default=False
            Whether to return standard deviations of the energies, in eV.
        return_forces : bool, default=False
            Whether to return forces, in eV/angstrom.
        return_virials : bool, default=False
            Whether to return virials, in eV.

        Returns
        -------
        ndarray of shape (n_structures,), or tuple
            Total energies in eV, or a tuple that begins with them if further quantities are
            requested, see :meth:`skdesc.GAPRegressor.predict`.
        """
        check_is_fitted(self, "pipeline_")
        return self.pipeline_.predict(
            X, return_std=return_std, return_forces=return_forces, return_virials=return_virials
        )

    def score(
        self,
        X: Samples,
        y: PerStructure | None = None,
        sample_weight: PerStructure | None = None,
    ) -> float:
        """Coefficient of determination of the total energies.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        y : array-like of shape (n_structures,), default=None
            Total energies, in eV; None to read them from the structures.
        sample_weight : array-like of shape (n_structures,), default=None
            Weights of the structures.

        Returns
        -------
        float
            The coefficient, at most 1. Structures whose energy is NaN are ignored.
            ``skdesc.metrics`` has errors per atom and of forces.
        """
        check_is_fitted(self, "pipeline_")
        data = collect(X, y)
        known = np.flatnonzero(np.isfinite(data.y))
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)[known]
        return r2_score(data.y[known], self.predict(data.take(known).frames),
                        sample_weight=sample_weight)

    def errors(
        self,
        X: Samples,
        y: PerStructure | None = None,
        *,
        forces: PerStructure | None = None,
        virials: PerStructure | None = None,
    ) -> dict[str, float]:
        """Compute errors on structures with known targets.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        y, forces, virials : object, default=None
            Targets as in :meth:`fit`; read from the structures if `y` is None.

        Returns
        -------
        dict of str to float
            Mean absolute and root mean square errors: "energy_mae", "energy_rmse" and so on, in
            eV per atom, for forces in eV/angstrom.
        """
        check_is_fitted(self, "pipeline_")
        data = collect(X, y, forces=forces, virials=virials)
        return errors_of(residuals(data, predict_all(self.pipeline_, data)))

    def calculator(self, **kwargs: Any) -> SkdescCalculator:
        """Return an ASE calculator of the potential.

        Parameters
        ----------
        **kwargs : object
            Arguments of :class:`skdesc.calculator.SkdescCalculator`.

        Returns
        -------
        skdesc.calculator.SkdescCalculator
            Calculator of energies, forces and stresses of single structures.
        """
        from ..calculator import SkdescCalculator

        check_is_fitted(self, "pipeline_")
        return SkdescCalculator(self.pipeline_, **kwargs)

    def report(
        self, path: PathName, *,
        test: Samples | tuple[Samples, PerStructure, dict[str, Any]] | None = None,
        command: str | None = None,
    ) -> None:
        """Write a page on data, candidates, errors and uncertainty.

        It is a self-contained HTML file with counts, ranges and warnings about the data, the
        candidates, errors on training, held-back and test structures by kind and element, parity
        plots, learning curves, calibration, the ten worst structures, energies of pairs of atoms,
        and the code and versions that reproduce the search.

        Parameters
        ----------
        path : str or path-like
            The file, which is replaced if it exists.
        test : sequence of ase.Atoms or (frames, y, targets), default=None
            Test structures, with targets attached or from :func:`skdesc.extract_targets`.
        command : str, default=None
            Command line that started the search, shown on the page.
        """
        check_is_fitted(self, "pipeline_")
        page = make_page(self, test, command)
        with replace_file(path) as file:
            file.write(page.encode("utf-8"))

    @atomic
    def select(self, index: int) -> AutoPotential:
        """Choose another model of the front, one that is faster or more accurate.

        Parameters
        ----------
        index : int
            Position in `front_`.

        Returns
        -------
        self : AutoPotential
            The estimator with the `pipeline_` of the entry, which has not learned from the
            held-back structures; ``clone(auto.pipeline_).fit(...)`` fits it to all structures.
        """
        check_is_fitted(self, "pipeline_")
        if not isinstance(index, numbers.Integral) or not 0 <= index < len(self.front_):
            raise ValueError(f"index is {index!r}, but must be an integer from 0 to "
                             f"{len(self.front_) - 1}; choose an entry of front_")
        self._become(select(self._outcome, index))
        return self

    def _caption(self):
        chosen = self.leaderboard_[0]
        return f"{chosen['candidate']}: {chosen['n_points']} sparse points"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.target_tags.required = False
        return tags
