"""``TwoStagePSOSearchCV``: tune the transformer first, then the regressor on its features."""

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
    of the last step, except those that the last step tunes itself or names as bound to the
    features. The second swarm searches the parameters of the last step on the features of the
    best transformer, which are computed once. This trains far fewer models, on far fewer sets of
    features, than one swarm over all parameters. It works because the parameters of a descriptor
    and of a regressor depend only weakly on each other, as long as the regressor starts from
    sensible values; `n_cycles` corrects for a stronger dependence.

    Parameters
    ----------
    estimator : estimator
        A Pipeline of transformers and a last step; any other estimator with a single space.
    transformer_space : dict of str to list or distribution
        Space of the steps before the last, as in
        :class:`~sklearn.model_selection.RandomizedSearchCV`: lists of values, or
        distributions of ``scipy.stats`` (the swarm moves in their quantiles, so
        ``loguniform`` gives a logarithmic axis and ``randint`` integers).
    regressor_space : dict of str to list or distribution
        Space of the last step. Parameters that the last step names as bound to the features
        (`zeta` of :class:`~skdesc.GAPRegressor`) are varied in both stages with "cv" and
        "one_pass". If the space is empty, `transformer_space` may name any parameter and is
        searched in one stage.
    n_particles : int or pair of int, default=None
        Number of candidates per iteration, evaluated in parallel; a pair for the first and the
        second stage. None means 12 for a single stage and 5 for two; these 5 are the best of the
        16 candidates of the first iteration.
    n_iterations : int or pair of int, default=None
        Number of iterations of each stage. None means 15 for a single stage, and 5 and 4 for two.
    n_cycles : int, default=1
        Number of times both stages are run in turn, each from the best so far.
    n_warm_up : int, default=0
        Number of iterations of a swarm over `regressor_space` before the first stage, at the
        present parameters of the transformers. The first stage judges features by the present
        regressor; one that is too stiff, or follows noise, favors features that compensate for
        its flaw. The warm-up has the objective of the first stage, and is skipped if that uses
        features alone.
    strategy : {"two-stage", "joint"}, default="two-stage"
        "joint" searches both spaces in one stage, by cross-validation.
    stage_one_objective : str or callable, default="auto"
        Objective of the first stage.

        - "auto": "one_pass" if possible, otherwise "cv"; "cv" with ``strategy="joint"``.
        - "cv": the cross-validated score.
        - "one_pass": the cross-validated score of a last step that computes it in one pass over
          the data by a method ``fold_session``, such as :class:`~skdesc.GAPRegressor`. If the
          step can tune some of the parameters of `regressor_space` itself, such as its noise, it
          does so for each candidate. Features are thus judged by a regressor that is tuned to
          them and to the metric, and the second stage begins with its values.
        - "alignment": centered alignment between the kernel of the features and the targets,
          including forces if given. It trains no model.
        - "ridge": minus the leave-one-out error of a ridge regression on the features, at its
          best regularization, relative to the spread of the targets; for features with several
          rows per sample, in kernels of first, second and fourth order. It trains no model of the
          pipeline either, and does not depend on the parameters of its last step.
        - "loo": minus the root mean square of the attribute ``loo_`` of the last step, the
          leave-one-out residuals that some models know in closed form. It trains one model.
        - a callable ``objective(estimator, Z, y, params)`` of the last step as an unfitted
          pipeline, the features of all samples, the targets, and all parameters of the candidate;
          the larger, the better.
    stage_two_objective : {"auto", "cv", "one_pass"}, default="deprecated"
        Deprecated: the second stage uses "one_pass" if possible, unless `stage_one_objective` is
        "cv". Both give the same scores.
    objective : str or list of str, default=None
        The metric that the swarms optimize, if `scoring` has several; by default that of `refit`,
        or all if `refit` is False or a callable (unless `scoring` is a callable, whose metrics
        are not known in advance). With several metrics the swarms search for a Pareto front, see
        `pareto_front_`. "fit_time" and "score_time" may also be named, and are minimized.
    scoring : str, callable, list, tuple or dict, default=None
        As in :class:`~sklearn.model_selection.GridSearchCV`. Scorers are called as
        ``scorer(rest, Z, y)``, where `Z` are the features after the stateless leading steps
        and `rest` the remaining steps (a single step is not wrapped in a pipeline), see Notes.
    cv : int, cross-validation generator or iterable, default=None
        Folds, which are the same for all candidates.
    refit : bool, str or callable, default=True
        As in :class:`~sklearn.model_selection.GridSearchCV`.
    n_jobs : int, default=None
        Number of candidates evaluated at once. The backend is joblib's, so
        ``joblib.parallel_config`` moves the search to a cluster.
    error_score : "raise" or number, default=np.nan
        Score of failed fits in `cv_results_`. Particles never follow a candidate that fails on all
        folds; one that fails on some folds has the mean score with `error_score` on these.
    random_state : int, RandomState instance or None, default=None
        Random numbers of the swarms.
    init : list of dict, default=None
        Parameters of further first particles; the very first one starts at the estimator's
        present parameters, as far as they are in the space.
    topology : {"star", "ring"}, default="star"
        Whether particles follow the best of all particles or that of their nearest neighbors.
    swarm : {"pso", "ppso"} or dict, default="pso"
        Rules of movement: "pso" takes longer steps in stages of less than ten iterations, "ppso"
        are those of the program of [1]_. A dict may have "inertia"
        (a number, or a pair for a linear schedule), "cognitive", "social", "velocity_clamp"
        (in (0, 1], or None), "bounds" ("reflective", "nearest" or "redraw"), "leader"
        ("best" or "iteration") and "stratified".
    early_stopping : int, default=None
        Number of iterations without a better candidate after which a stage ends.
    max_time : float, default=None
        Time limit in seconds, shared evenly between the stages. A stage begins no candidate after
        its share, and no stage begins after the limit. The first candidate is always evaluated.
    max_fits : float, default=None
        Limit of the price of the search, in fits to all data. No candidate except the first begins
        if it would exceed the limit. A candidate costs 1.3 with "one_pass" and the sum of the
        shares of its training parts with "cv"; on a fraction f of the samples, f squared of that.
    checkpoint : str or path-like, default=None
        File that stores evaluations, written after each candidate. A search that was killed
        continues from it when run again, with the same result; a search with more iterations
        extends it. Candidates that failed for lack of memory are tried again. Functions and classes
        outside installed packages are identified by their code and the values to which it refers;
        an object that cannot be identified for certain is refused.
    cache_features : bool, default=True
        Whether stateless leading steps are applied once to all samples, see Notes.
    verbose : int, default=0
        Whether to show progress.
    return_train_score : bool, default=False
        Whether `cv_results_` has training scores.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As in :class:`~sklearn.model_selection.GridSearchCV`, with one entry per
        cross-validated candidate, and also "stage", "cycle", "iteration", "particle" and
        "feature_time".
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
    refit_time_, multimetric_ : object
        As in :class:`~sklearn.model_selection.GridSearchCV`. With several objectives the best
        candidate is that at the knee of the front.
    stage_results_ : list of dict
        Best candidate, reason for stopping and cost of each stage; "work_time" are the seconds
        spent on features, fits and scores by all workers together.
    history_ : list of dict
        Positions in the unit cube, parameters (including those that the last step tuned itself)
        and scores of all particles, by iteration.
    pareto_front_ : list of dict
        Candidates that no other beats in all objectives: "params", "scores" and "index" in
        `cv_results_`.
    comparison_ : dict of str to dict
        "present" and "found": errors of each kind of target that the models report, averaged over
        folds (the smaller, the better), and scores of the metrics (the larger, the better), for
        the present parameters and for the best candidate. If `scoring` is None and the last step
        has a metric of its own, no error of the best candidate exceeds that of the present
        parameters by more than two per cent; with other metrics, a warning tells of larger errors.
    n_models_trained_ : int
        Number of models fitted, including that of `refit`, but not those inside a callable
        objective. A model is counted for each pass over the data: one per candidate with "loo" and
        "one_pass", and one per fold with "cv". The models of the folds with "one_pass", and those
        with other values of self-tuned parameters, follow by linear algebra without the data and
        are not counted.
    price_ : float
        Estimated price of the search in fits to all data, see `max_fits`.
    n_feature_evaluations_ : int
        Number of times that the steps before the last were applied to data.

    See Also
    --------
    sklearn.model_selection.RandomizedSearchCV : Independent candidates from the same spaces.

    Notes
    -----
    A leading step is stateless if its tag ``requires_fit`` is False, or if it has a true
    attribute ``_stateless_given_parameters``: its output for a sample depends only on its
    parameters and on that sample. Leading stateless steps are applied to all samples once per
    candidate, or once per stage if they do not vary, and their output is sliced into folds. The
    first other step and those after it are fitted on each training fold. Set
    ``cache_features=False`` if a scorer needs the original samples. The objectives "alignment",
    "ridge", "loo" and callables use no folds: all steps before the last are fitted to all samples.

    A candidate of the first stage, which has the present parameters of the last step, may turn out
    to be the best. Present values outside the spaces are not candidates: a number is moved to the
    nearest value of its space, any other value to the middle.

    Scorers get the metadata that they have requested, whether metadata routing is enabled or not:
    forces passed to `fit` as ``gap__forces``, or carried by the structures, reach
    :func:`~skdesc.metrics.make_forces_scorer`. With routing disabled, `sample_weight` reaches
    scorers as in the installed scikit-learn.

    Equal candidates are evaluated once. Results do not depend on `n_jobs` or the backend, except
    for rounding in multithreaded linear algebra. The objectives of the first stage are this
    package's own, and may differ from that of [1]_.

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
            Samples of any kind that the estimator accepts.
        y : array-like, default=None
            Targets.
        **params : object
            Metadata for the estimator's ``fit``, the folds (`groups`) and the scorers; entries
            with one value per sample are split with the folds. With metadata routing disabled,
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
        # scikit-learn's scorer of several metrics keeps them as a dict
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
        # without targets, y is not passed to estimators that do not accept it
        self.best_estimator_ = estimator.fit(X, *([] if y is None else [y]), **fit_params)
        self.refit_time_ = time.time() - start
        self.n_models_trained_ += 1
        self.n_feature_evaluations_ += has_leading_steps(estimator)
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
