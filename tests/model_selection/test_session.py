"""The written protocol of a fold session: any estimator can offer one."""

from collections import Counter

import joblib
import numpy as np
import pytest
from helpers.toy_data import make_frames, reference
from model_selection.ridge_session import RidgeSession, RidgeWithSession
from model_selection.toys import PairCounts, shaken_molecules
from scipy.stats import loguniform, uniform
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import Pipeline

from skdesc import GAPRegressor, SOAPTransformer, Structures, TwoStagePSOSearchCV
from skdesc.gaussian_process import _fitted, _fold_pass
from skdesc.model_selection._evaluation import Evaluator
from skdesc.model_selection._one_pass import _sessions
from skdesc.model_selection._protocols import FoldSession, OffersFoldSession

N = 12


@pytest.fixture(scope="module")
def data():
    return shaken_molecules()


def _search(**options):
    return TwoStagePSOSearchCV(
        Pipeline([("pairs", PairCounts()), ("ridge", RidgeWithSession(0.5))]),
        {"pairs__cutoff": uniform(0.5, 3)}, {"ridge__alpha": loguniform(1e-6, 1e2)},
        **{"n_particles": 4, "n_iterations": 3, "cv": KFold(3), "random_state": 0, **options},
    )


def test_the_protocol_is_kept():
    assert isinstance(RidgeWithSession(), OffersFoldSession)
    assert isinstance(RidgeSession(Ridge(), np.eye(4), np.ones(4), []), FoldSession)


def test_one_session_per_set_of_features(data):
    RidgeWithSession.n_sessions = 0
    search = _search().fit(*data)
    one, two = search.stage_results_
    assert one["objective"] == two["objective"] == "one_pass"
    # one for each descriptor, and one for all candidates of the second stage
    assert RidgeWithSession.n_sessions == one["n_feature_evaluations"] + 1
    assert two["n_models_trained"] > 1


def test_scores_are_those_of_cross_validation(data):
    search = _search(return_train_score=True).fit(*data)
    for index, params in enumerate(search.cv_results_["params"]):
        pipeline = clone(search.estimator).set_params(**params)
        expected = cross_validate(pipeline, *data, cv=KFold(3), return_train_score=True)
        for kind in ("test_score", "train_score"):
            found = [search.cv_results_[f"split{k}_{kind}"][index] for k in range(3)]
            np.testing.assert_allclose(found, expected[kind], rtol=1e-7)


def test_the_step_tunes_itself(data):
    search = _search(n_iterations=1).fit(*data)
    tuned = {params["ridge__alpha"] for params in search.cv_results_["params"][:4]}
    assert 0.5 not in tuned
    start = next(entry for entry in search.history_ if entry["stage"] == 2)
    assert start["scores"][0] == search.stage_results_[0]["best_score"]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_have_sessions_of_their_own(data, backend):
    alone = _search().fit(*data)
    with joblib.parallel_config(backend=backend):
        together = _search(n_jobs=2).fit(*data)
    assert together.cv_results_["params"] == alone.cv_results_["params"]
    np.testing.assert_allclose(together.best_score_, alone.best_score_, rtol=1e-12)


def test_no_session_is_left_behind(data):
    _search().fit(*data)
    assert not _sessions


@pytest.mark.filterwarnings("ignore")
def test_one_candidate_checks_its_structures_once(monkeypatch):
    """No Atoms are converted for a candidate; its targets and rows are checked once."""
    counts = Counter()

    def count(module, name, size):
        function = getattr(module, name)

        def counted(*arguments, **options):
            counts[name, module.__name__.rpartition(".")[2]] += size(*arguments)
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, counted)

    count(_fold_pass, "check_environments", lambda X, *_: len(X))
    count(_fold_pass, "check_targets", lambda X, *_: len(X))
    count(_fitted, "check_environments", lambda X, *_: len(X))
    count(Structures, "from_atoms", lambda frames, *_: len(frames))
    per_candidate, evaluate = [], Evaluator.__call__

    def counted_call(*arguments, **options):
        before = counts.copy()
        evaluation = evaluate(*arguments, **options)
        per_candidate.append(counts - before)
        return evaluation

    monkeypatch.setattr(Evaluator, "__call__", counted_call)
    frames = make_frames(N)
    y, targets = reference(frames)
    TwoStagePSOSearchCV(
        Pipeline([("soap", SOAPTransformer(n_max=2, l_max=1)), ("gap", GAPRegressor(n_sparse=4))]),
        {"soap__cutoff": uniform(2.5, 1.0)}, {"gap__sigma_energy": loguniform(1e-3, 1.0)},
        n_particles=(2, 4), n_iterations=1, cv=KFold(3), random_state=0, refit=False,
    ).fit(frames, y, gap__forces=targets["forces"])
    # in the session, and, for predictions, in the test parts, which are all structures once
    once = {("check_environments", "_fold_pass"): N, ("check_targets", "_fold_pass"): N,
            ("check_environments", "_fitted"): N}
    assert per_candidate[1] == once
    # the second stage begins with the best of the first, and its candidates have one session
    assert per_candidate[2] == once
    assert per_candidate[3] == per_candidate[4] == {("check_environments", "_fitted"): N}
    # packed, scored by default, fitted for the values of "auto", and read for targets
    assert counts["from_atoms", "Structures"] <= 4 * N
