"""``TwoStagePSOSearchCV``: tune the transformer first, the regressor on its features second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import indexable

from ..utils.atomic import atomic
from ..utils.typing import PathName, PerStructure, RandomState, Samples, Scorer
from ._checkpoint import changeable_fingerprint, open_checkpoint
from ._comparison import add_untuned, set_comparison
from ._evaluation import Evaluator
from ._fitted_search import FittedSearch
from ._metadata import check_metadata, metadata_of_scorers, routing_enabled
from ._plan import make_stages
from ._results import describe_failures, make_results, select_best, warn_of_failures
from ._stages import StagedSearch
from ._steps import has_leading_steps
from ._validation import check_samplers, check_settings, check_target, make_folds
from ._workers import inner_threads, pack_samples


class TwoStagePSOSearchCV(FittedSearch):
    """Particle swarm search over a pipeline: transformer first, regressor second.

    The first swarm searches the parameters of the transformers with the present parameters
    of the last step, but for those that the last step finds itself or names as bound to the
    features. The second searches those of the last step on the features of the best
    transformer, which are computed once. This trains far fewer models, on far fewer sets of
    features, than one swarm over all parameters, and the parameters of a descriptor and of a
    regressor depend on each other little enough for that to work, as long as the regressor
    starts from sensible values; `n_cycles` repairs what dependence there is.

    Parameters
    ----------
    estimator : estimator
        A Pipeline of transformers and a last step; any other estimator with a single space.
    transformer_space : dict of str to list or distribution
        Space of the steps before the last, in the vocabulary of
        :class:`~sklearn.model_selection.RandomizedSearchCV`: lists of values, or
        distributions of ``scipy.stats`` (the swarm moves in their quantiles, so that
        ``loguniform`` gives a logarithmic axis and ``randint`` integers).
    regressor_space : dict of str to list or distribution
        Space of the last step. Some of its parameters may be bound to the features, as the last
        step says (`zeta` of :class:`~skdesc.GAPRegressor`): by "cv" and "one_pass", these are
        varied in both stages. If empty, `transformer_space` may name any parameter and is
        searched in one stage.
    n_particles : int or pair of int, default=None
        Candidates per iteration, evaluated side by side; a pair for the first and the second
        stage. None stands for 12 in a single stage, and for 5 in two; these 5 are the best of
        the 16 candidates of the first iteration.
    n_iterations : int or pair of int, default=None
        Iterations of each stage. None stands for 15 in a single stage, and for 5 and 4 in two.
    n_cycles : int, default=1
        How many times both stages are run in turn, each from the best so far.
    n_warm_up : int, default=0
        Iterations of a swarm over `regressor_space` before the first stage, at the present
        parameters of the transformers. The first stage judges features by the regressor as it
        is: one that is too stiff, or follows noise, favors features that suit its flaw. It has
        the objective of the first stage, and is skipped if that looks at features alone.
    strategy : {"two-stage", "joint"}, default="two-stage"
        "joint" searches both spaces in one stage, by cross-validation.
    stage_one_objective : str or callable, default="auto"
        Objective of the first stage.

        - "auto": "one_pass" where that is possible, else "cv"; "cv" with ``strategy="joint"``.
        - "cv": the cross-validated score.
        - "one_pass": the cross-validated score of a last step that computes it in one pass over
          the data, by a method ``fold_session``, as :class:`~skdesc.GAPRegressor` does. Where such
          a step can find some of the parameters of `regressor_space` itself, such as its noise,
          it does so for each candidate, so that features are judged by a regressor that suits
          them and the metric; the second stage begins there.
        - "alignment": centered alignment between the kernel of the features and the targets,
          forces included where they are given. Trains no model.
        - "ridge": minus the leave-one-out error of a ridge regression on the features, at its
          best regularisation, relative to the spread of the targets; for features with several
          rows per sample in kernels of first, second and fourth order. Trains no model of the
          pipeline either; the present parameters of its last step have no influence.
        - "loo": minus the root mean square of the attribute ``loo_`` of the last step, the
          leave-one-out residuals that some models know in closed form. One model each.
        - a callable ``objective(estimator, Z, y, params)``: the last step as a pipeline, not
          fitted, features of all samples, targets, and all parameters of the candidate; the
          larger, the better.
    stage_two_objective : {"auto", "cv", "one_pass"}, default="deprecated"
        Deprecated: the second stage has "one_pass" where that is possible, unless
        `stage_one_objective` is "cv". Both give the same scores.
    objective : str or list of str, default=None
        The metric that the swarms look at, if `scoring` has several; by default that of `refit`,
        or all if `refit` is False or a callable (unless `scoring` is a callable, whose metrics
        are not known before). With more than one they look for trade-offs: see `pareto_front_`.
        "fit_time" and "score_time" may be named too, and are minimised.
    scoring : str, callable, list, tuple or dict, default=None
        As in :class:`~sklearn.model_selection.GridSearchCV`. Scorers are called as
        ``scorer(rest, Z, y)``, where `Z` are the features after the stateless leading steps
        and `rest` the steps that follow (not as a pipeline, if that is one only), see Notes.
    cv : int, cross-validation generator or iterable, default=None
        Folds, the same for all candidates.
    refit : bool, str or callable, default=True
        As in :class:`~sklearn.model_selection.GridSearchCV`.
    n_jobs : int, default=None
        Candidates evaluated at once. The backend is joblib's, so
        ``joblib.parallel_config`` moves the search to a cluster.
    error_score : "raise" or number, default=np.nan
        Score of what fails, in `cv_results_`. Particles never follow a candidate that has failed
        as a whole; one that fails on some folds has the mean that it has there.
    random_state : int, RandomState instance or None, default=None
        Source of the swarms' randomness.
    init : list of dict, default=None
        Parameters of further first particles; the first of all starts at the estimator's
        present parameters, as far as they lie in the space.
    topology : {"star", "ring"}, default="star"
        Whether particles follow the best of all or of their nearest neighbors.
    swarm : {"pso", "ppso"} or dict, default="pso"
        Rules of movement: "pso" is brisker in stages of less than ten iterations, "ppso" are
        those of the program of [1]_. A dict may have "inertia"
        (a number, or a pair for a linear schedule), "cognitive", "social", "velocity_clamp"
        (in (0, 1], or None), "bounds" ("reflective", "nearest" or "redraw"), "leader"
        ("best" or "iteration") and "stratified".
    early_stopping : int, default=None
        End a stage after so many iterations without a better candidate.
    max_time : float, default=None
        Seconds, shared evenly between the stages; after its share a stage begins no candidate, and
        after all of them no stage begins. The first candidate is evaluated in any case.
    max_fits : float, default=None
        Price of the search, in fits to all the data: no candidate begins that would exceed it, but
        the first. A candidate evaluated in one pass costs 1.3, one by "cv" the sum of the shares of
        its training parts, and on a part f of the samples f squared of that.
    checkpoint : str or path-like, default=None
        File that keeps evaluations, written after each candidate. A search that was killed
        continues from it when run again, to the same result; one with more iterations extends it.
        What failed for lack of memory is tried again. Functions and classes that are not of an
        installed package are known by their code, and by the values that this refers to; an object
        that cannot be identified for certain is refused.
    cache_features : bool, default=True
        Whether stateless leading steps are applied once to all samples, see Notes.
    verbose : int, default=0
        Whether to show progress.
    return_train_score : bool, default=False
        Whether `cv_results_` has training scores.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As that of :class:`~sklearn.model_selection.GridSearchCV`, one entry per candidate
        that was cross-validated, with "stage", "cycle", "iteration", "particle" and
        "feature_time" besides.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
    refit_time_, multimetric_ : object
        As in :class:`~sklearn.model_selection.GridSearchCV`. Of several objectives the knee
        of the front is the best candidate.
    stage_results_ : list of dict
        What each stage has found, why it stopped, and what it cost; "work_time" are the seconds
        in features, fits and scores, of all workers together.
    history_ : list of dict
        Positions in the unit cube, parameters (with those that the last step has found itself)
        and scores of all particles, by iteration.
    pareto_front_ : list of dict
        Candidates that no other beats in all objectives: "params", "scores" and "index" in
        `cv_results_`.
    comparison_ : dict of str to dict
        "present" and "found": errors of each kind of target that the models report, mean over folds
        (the smaller, the better), and scores of the metrics (the larger, the better), of the
        estimator as it was given and of the best candidate. Where `scoring` is None and the last
        step has a metric of its own, no error of the best candidate is more than two per cent
        larger than that of the estimator as it was given; with other metrics, a warning says so.
    n_models_trained_ : int
        Models fitted, that of `refit` included, those inside a callable objective not. What
        counts is to go through the data: a candidate is one model by "loo" and "one_pass", and
        one for each fold by "cv". That one pass of "one_pass" yields a model for each fold
        all the same, by linear algebra without the data, and so does every value that is tried
        of what the last step finds itself; these are not counted.
    price_ : float
        Estimated price of the search in fits to all the data, see `max_fits`.
    n_feature_evaluations_ : int
        How many times the steps before the last were applied to data.

    See Also
    --------
    sklearn.model_selection.RandomizedSearchCV : Independent candidates from the same spaces.

    Notes
    -----
    A leading step is stateless if its tag ``requires_fit`` is False, or if it has a true
    attribute ``_stateless_given_parameters``: its output for a sample depends on its
    parameters and on that sample alone. Leading stateless steps are applied to all samples
    once per candidate, or once per stage where they do not vary, and the folds are slices of
    their output. Steps from the first other one on are fitted on each training fold. Set
    ``cache_features=False`` if a scorer needs the original samples. Without folds, for
    "alignment", "ridge", "loo" and a callable, all steps before the last are fitted to all samples.

    What the first stage evaluates may be the best after all; it has present values of the last
    step. Present values that lie outside the spaces are no candidates: a number moves to the
    nearest value of its space, anything else to the middle.

    Scorers get the metadata that they have requested, with metadata routing enabled or not: forces
    given to `fit` as ``gap__forces``, or carried by the structures, reach
    :func:`~skdesc.metrics.make_forces_scorer`. With routing disabled, `sample_weight` reaches
    scorers as it does in the installed scikit-learn.

    Equal candidates are evaluated once. Results do not depend on `n_jobs` or the backend, except
    for what multithreaded linear algebra rounds. What the first stage optimises in [1]_ could not
    be read; the objectives here are this package's own.

    References
    ----------
    .. [1] S. K. Natarajan, M. A. Caro, "Particle swarm based hyper-parameter optimization for
       machine learned interatomic potentials", arXiv:2101.00049 (2021).
    .. [2] J. Kennedy, R. Eberhart, "Particle swarm optimization", Proceedings of the
       International Conference on Neural Networks, 1942-1948 (1995).
    .. [3] C. A. Coello Coello, G. T. Pulido, M. S. Lechuga, "Handling multiple objectives with
       particle swarm optimization", IEEE Trans. Evol. Comput. 8, 256-279 (2004).

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.kernel_approximation import Nystroem
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdesc import TwoStagePSOSearchCV
    >>> X, y = make_regression(n_samples=80, n_features=4, random_state=0)
    >>> search = TwoStagePSOSearchCV(
    ...     make_pipeline(Nystroem(n_components=40, random_state=0), Ridge(0.1)),
    ...     {"nystroem__gamma": loguniform(1e-4, 1)},
    ...     {"ridge__alpha": loguniform(1e-6, 10)},
    ...     n_particles=4, n_iterations=5, cv=3, random_state=0,
    ... ).fit(X, y)
    >>> [stage["objective"] for stage in search.stage_results_]
    ['cv', 'cv']
    >>> bool(search.best_score_ > 0.9)
    True
    """

    def __init__(
        self,
        estimator: Any,
        transformer_space: Mapping[str, Any],
        regressor_space: Mapping[str, Any],
        *,
        n_particles: int | None = None,
        n_iterations: int | None = None,
        n_cycles: int = 1,
        n_warm_up: int = 0,
        strategy: str = "two-stage",
        stage_one_objective: str | Callable[..., Any] = "auto",
        stage_two_objective: str | Callable[..., Any] = "deprecated",
        objective: str | Sequence[str] | Callable[..., Any] | None = None,
        scoring: Scorer | Sequence[str] | Mapping[str, Scorer] | None = None,
        cv: Any = None,
        refit: bool | str | Callable[..., Any] = True,
        n_jobs: int | None = None,
        error_score: float | Literal["raise"] = np.nan,
        random_state: RandomState = None,
        init: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
        topology: str = "star",
        swarm: str | Mapping[str, Any] = "auto",
        early_stopping: Any = None,
        max_time: float | None = None,
        max_fits: float | None = None,
        checkpoint: PathName | None = None,
        cache_features: bool = True,
        verbose: int = 0,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.transformer_space = transformer_space
        self.regressor_space = regressor_space
        self.n_particles = n_particles
        self.n_iterations = n_iterations
        self.n_cycles = n_cycles
        self.n_warm_up = n_warm_up
        self.strategy = strategy
        self.stage_one_objective = stage_one_objective
        self.stage_two_objective = stage_two_objective
        self.objective = objective
        self.random_state = random_state
        self.init = init
        self.topology = topology
        self.swarm = swarm
        self.early_stopping = early_stopping
        self.max_time = max_time
        self.max_fits = max_fits
        self.checkpoint = checkpoint
        self.cache_features = cache_features

    @atomic
    def fit(self, X: Samples, y: PerStructure | None = None, **params: Any) -> Self:
        """Search, and fit the best candidate to all data.

        Parameters
        ----------
        X : sequence
            Samples, of any kind the estimator takes.
        y : array-like, default=None
            Targets.
        **params : object
            Metadata for the estimator's fit, the folds (`groups`) and the scorers; what has
            one entry per sample is split with the folds. With metadata routing disabled,
            names are those of the pipeline, such as ``gap__forces``.

        Returns
        -------
        TwoStagePSOSearchCV
            The search itself.
        """
        settings = check_settings(self)
        self._validate_params()
        stages, start, present = make_stages(self, settings.metrics, X)
        check_target(self.estimator, y, stages)
        check_samplers(self.estimator, stages)
        scorers, _ = self._get_scorers()
        scoring = scorers if self._own_scorer() is not None else self.scoring
        Z, y = indexable(pack_samples(X, self.estimator), y)
        routed = self._get_routed_params_for_fit(params)
        check_metadata(self.estimator, scorers, routed, [stage.space for stage in stages])
        score_params = metadata_of_scorers(self.estimator, scorers, X, y, params, routed)
        splits = make_folds(self, Z, y, routed.splitter.split)
        evaluator = Evaluator(
            estimator=clone(self.estimator),
            X=Z,
            y=y,
            fit_params=params if routing_enabled() else routed.estimator.fit,
            score_params=score_params,
            splits=splits,
            scoring=scoring,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
            cache_features=self.cache_features,
            n_threads=inner_threads(self.n_jobs),
            metrics=tuple(settings.metrics),
        )
        checkpoint = open_checkpoint(self, evaluator)
        search = StagedSearch(
            stages, evaluator, start, present, settings, checkpoint, self.n_jobs
        )
        try:
            search.run()
        finally:
            if self.checkpoint is not None:
                checkpoint.finish(changeable_fingerprint(self, evaluator))
        self._collect(search, splits, scorers, settings.metrics)
        if self.refit:
            self._refit(X, y, routed.estimator.fit)
        return self

    def _collect(self, search, splits, scorers, metrics):
        """Set the attributes of a finished search."""
        ledger = search.ledger
        if all(row["error"] is not None for row in ledger.rows):
            raise ValueError(f"No candidate could be cross-validated: {describe_failures(ledger)}")
        self.n_splits_ = len(splits)
        # scikit-learn's wrapper of several scorers keeps them as a dict
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.stage_results_ = search.stage_results
        self.history_ = search.history
        self.n_models_trained_ = ledger.n_models
        self.n_feature_evaluations_ = ledger.n_features
        self.price_ = ledger.spent
        present = add_untuned(ledger)
        make_results(self, ledger.rows)
        select_best(self, metrics, self._is_knee_chosen())
        keeps = self._own_scorer() is not None and not callable(self.refit)
        set_comparison(self, ledger.rows, present, metrics, keeps)
        warn_of_failures(search)

    def _refit(self, X, y, fit_params):
        estimator = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        start = time.time()
        # without targets, estimators that know no y are not given one
        self.best_estimator_ = estimator.fit(X, *([] if y is None else [y]), **fit_params)
        self.refit_time_ = time.time() - start
        self.n_models_trained_ += 1
        self.n_feature_evaluations_ += has_leading_steps(estimator)
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
