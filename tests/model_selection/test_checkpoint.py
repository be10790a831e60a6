import json
import os
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from model_selection.processes import start_python
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdesc import TwoStagePSOSearchCV

DATA = make_regression(60, 6, n_informative=4, noise=3.0, random_state=0)


def _search(path=None, **changes):
    search = TwoStagePSOSearchCV(
        make_pipeline(FunctionTransformer(), PCA(), Ridge()),
        {"pca__n_components": randint(1, 7), "pca__whiten": [False, True]},
        {"ridge__alpha": loguniform(1e-4, 10)},
        n_particles=4, n_iterations=4, cv=KFold(3), random_state=0, checkpoint=path,
    )
    return search.set_params(**changes)


def _outcome(search):
    results = {
        key: np.ma.filled(values).tolist() if key != "params" else values
        for key, values in search.cv_results_.items()
        if "time" not in key
    }
    return {
        "results": results,
        "best": search.best_params_,
        "models": search.n_models_trained_,
        "features": search.n_feature_evaluations_,
        "scores": [entry["scores"].tolist() for entry in search.history_],
    }


def test_a_finished_search_repeats_without_any_work(tmp_path, monkeypatch):
    path = tmp_path / "search.json"
    first, plain = _search(path).fit(*DATA), _search().fit(*DATA)
    monkeypatch.setattr("skdesc.model_selection._evaluation.cross_validate", None)
    again = _search(path).fit(*DATA)
    assert _outcome(again) == _outcome(first) == _outcome(plain)
    # times are those of the run that did the work
    np.testing.assert_array_equal(
        again.cv_results_["mean_fit_time"], first.cv_results_["mean_fit_time"]
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["search.json"]


CHILD = """
import sys
from model_selection import test_checkpoint as t
import time, skdesc.model_selection._evaluation as e
fast = e.cross_validate
def slow(*args, **kwargs):
    time.sleep(0.02)
    return fast(*args, **kwargs)
e.cross_validate = slow
t._search(sys.argv[1]).fit(*t.DATA)
print("finished")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
@pytest.mark.parametrize("n_iterations_done", [1, 5])
def test_killed_and_run_again_is_the_same_as_uninterrupted(tmp_path, n_iterations_done):
    path = tmp_path / "search.json"
    child = start_python(CHILD, str(path))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and len(json.loads(path.read_text())["evaluations"]) > n_iterations_done:
            break
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.communicate()[0] == ""
    assert child.returncode == -signal.SIGKILL
    done = len(json.loads(path.read_text())["evaluations"])
    resumed = _search(path).fit(*DATA)
    assert 0 < done < len(json.loads(path.read_text())["evaluations"])
    assert _outcome(resumed) == _outcome(_search().fit(*DATA))


def test_more_iterations_extend_a_search(tmp_path):
    path = tmp_path / "search.json"
    constant = {"swarm": {"inertia": 0.5}}
    first = _search(path, **constant).fit(*DATA)
    longer = _search(path, n_iterations=6, **constant).fit(*DATA)
    assert _outcome(longer) == _outcome(_search(n_iterations=6, **constant).fit(*DATA))
    assert longer.best_score_ >= first.best_score_


def test_an_unseeded_search_keeps_its_seed(tmp_path):
    path = tmp_path / "search.json"
    first = _search(path, random_state=None).fit(*DATA)
    again = _search(path, random_state=None).fit(*DATA)
    assert _outcome(first) == _outcome(again)


@pytest.mark.parametrize(
    ("changes", "data", "part"),
    [
        ({"estimator__ridge__fit_intercept": False}, DATA, "estimator"),
        ({"regressor_space": {"ridge__alpha": loguniform(1e-3, 10)}}, DATA, "spaces"),
        ({"cv": KFold(4)}, DATA, "folds"),
        ({"scoring": "neg_mean_absolute_error"}, DATA, "scoring"),
        ({"random_state": 1}, DATA, "search"),
        ({"n_particles": 5}, DATA, "search"),
        ({}, (DATA[0] + 1, DATA[1]), "X"),
        ({}, (DATA[0], -DATA[1]), "y"),
    ],
)
def test_another_search_is_refused(tmp_path, changes, data, part):
    path = tmp_path / "search.json"
    _search(path).fit(*DATA)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"belongs to another search \(different {part}\)"):
        _search(path).set_params(**changes).fit(*data)
    assert path.read_bytes() == before


def test_folds_without_a_seed_are_refused(tmp_path):
    path = tmp_path / "search.json"
    search = _search(path, cv=ShuffleSplit(2))
    search.fit(*DATA)
    with pytest.raises(ValueError, match=r"different folds.*integer random_state"):
        clone(search).fit(*DATA)


@pytest.mark.parametrize("wrap", [lambda function: function, make_scorer])
def test_functions_without_a_name_of_their_own_are_told_apart(tmp_path, wrap):
    path = tmp_path / "search.json"

    def fit(function):
        _search(path, n_iterations=1, scoring=wrap(function)).fit(*DATA)

    fit(lambda *args: 1.0 if len(args) in {2, 3} else 0.0)
    fit(lambda *args: 1.0 if len(args) in {2, 3} else 0.0)
    with pytest.raises(ValueError, match=r"belongs to another search \(different scoring\)"):
        fit(lambda *args: 2.0 if len(args) in {2, 3} else 0.0)


@pytest.mark.parametrize(
    "damage",
    [
        {"search": []},
        {"search": None},
        {"seed": None},
        {"seed": "a"},
        {"evaluations": [1]},
        {"evaluations": {"a": None}},
        {"evaluations": {"a": {"error": None}}},
    ],
)
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "search.json"
    _search(path, n_iterations=1).fit(*DATA)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    match = r"is not a checkpoint of a search|belongs to another search"
    with pytest.raises(ValueError, match=match):
        _search(path, n_iterations=1).fit(*DATA)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1}', "3"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "search.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="is not a checkpoint of a search"):
        _search(path).fit(*DATA)


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="the folder does not exist"):
        _search(tmp_path / "nowhere" / "search.json").fit(*DATA)


def test_failures_are_kept(tmp_path):
    path = tmp_path / "search.json"
    space = {"regressor_space": {"ridge__alpha": [-1.0, 1.0]}}
    outcomes = []
    for _ in range(2):
        with (
            pytest.warns(UserWarning, match="non-finite"),
            pytest.warns(RuntimeWarning, match="candidates failed"),
        ):
            search = _search(path, **space).fit(*DATA)
        outcomes.append(json.dumps(_outcome(search)))
    assert outcomes[0] == outcomes[1]


def test_another_metric_of_refit_is_another_search(tmp_path):
    X = np.random.RandomState(0).normal(size=(30, 4))
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), Ridge()), {"pca__n_components": [1, 2]}, {"ridge__alpha": [0.1, 1.0]},
        scoring=["r2", "neg_mean_absolute_error"], refit="r2",
        n_iterations=1, cv=3, random_state=0, checkpoint=tmp_path / "search.json",
    ).fit(X, X[:, 0])
    # what the last step finds itself depends on the metric
    with pytest.raises(ValueError, match=r"belongs to another search \(different search\)"):
        search.set_params(refit="neg_mean_absolute_error").fit(X, X[:, 0])


def test_it_is_written_after_each_candidate(tmp_path):
    path, sizes = tmp_path / "search.json", []

    def scoring(estimator, X, y):
        sizes.append(len(json.loads(path.read_text())["evaluations"]))
        return estimator.score(X, y)

    _search(path, scoring=scoring, n_iterations=1).fit(*DATA)
    # three folds each; what scores a candidate sees all those before it
    assert sizes[:12] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_interrupt_in_the_first_batch_keeps_what_is_complete(tmp_path):
    path, calls = tmp_path / "search.json", []

    def scoring(estimator, X, y):
        calls.append(None)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return estimator.score(X, y)

    search = _search(path, scoring=scoring).fit(*DATA)
    assert search.stage_results_[0]["stopped_by"] == "interrupt"
    assert len(search.cv_results_["params"]) == 2
    assert len(json.loads(path.read_text())["evaluations"]) == 2
    # the scorer looks at its own calls, which this search has changed
    resumed = _search(path, scoring=scoring).fit(*DATA)
    np.testing.assert_array_equal(
        resumed.cv_results_["mean_test_score"], _search().fit(*DATA).cv_results_["mean_test_score"]
    )


def test_writing_is_tried_before_anything_is_computed(tmp_path, monkeypatch):
    def fails(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skdesc.utils.files.os.replace", fails)
    monkeypatch.setattr("skdesc.model_selection._evaluation.cross_validate", None)
    with pytest.raises(ValueError, match=r"cannot be written .*No space left.*name another file"):
        _search(tmp_path / "search.json").fit(*DATA)


@pytest.mark.parametrize("recovers", [False, True])
def test_a_disk_that_is_full_later_stops_nothing(tmp_path, monkeypatch, recovers):
    path, replace, n_writes = tmp_path / "search.json", os.replace, []

    def fills_up(*args):
        n_writes.append(None)
        if len(n_writes) >= 4 and not (recovers and len(n_writes) > 6):
            raise OSError(28, "No space left on device")
        replace(*args)

    monkeypatch.setattr("skdesc.utils.files.os.replace", fills_up)
    with pytest.warns(RuntimeWarning, match="cannot be written any more") as record:
        search = _search(path).fit(*DATA)
    assert len(record) == 1
    assert _outcome(search) == _outcome(_search().fit(*DATA))
    kept = len(json.loads(path.read_text())["evaluations"])
    assert kept == (len(search.cv_results_["params"]) if recovers else 2)


class _RunsOut(Ridge):
    """Out of memory as long as a file is there."""

    flag = None

    def __init__(self, alpha=1.0, flag=None):
        super().__init__(alpha=alpha)
        self.flag = flag

    def fit(self, X, y):
        if os.path.exists(self.flag):
            raise MemoryError("as it happens")
        return super().fit(X, y)


@pytest.mark.parametrize("place", ["fit", "score"])
def test_what_memory_was_short_for_is_tried_again(tmp_path, place):
    path, flag = tmp_path / "search.json", tmp_path / "flag"
    pipeline = make_pipeline(PCA(), _RunsOut(flag=str(flag)) if place == "fit" else Ridge())
    last = pipeline.steps[-1][0]

    def scoring(estimator, X, y, limit=None if place == "fit" else str(flag)):
        if limit and os.path.exists(limit) and estimator[0].n_components_ == 2:
            raise MemoryError("as it happens")
        return estimator.score(X, y)

    def search():
        return TwoStagePSOSearchCV(
            pipeline, {"pca__n_components": [1, 2]}, {f"{last}__alpha": [0.1, 1.0]}, cv=3,
            scoring=scoring, random_state=0, n_particles=3, n_iterations=2, checkpoint=path,
        )

    expected = search().set_params(checkpoint=None).fit(*DATA)
    flag.touch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if place == "fit":
            with pytest.raises(ValueError, match=r"(?s)No candidate.*MemoryError: as it happens"):
                search().fit(*DATA)
        else:
            search().fit(*DATA)
    flag.unlink()
    assert _outcome(search().fit(*DATA)) == _outcome(expected)


@pytest.mark.skipif(sys.platform == "win32", reason="devices of Unix")
def test_devices_and_pipes_are_refused_and_not_read(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "link"
    link.symlink_to("/dev/zero")
    for path in ("/dev/full", "/dev/zero", "/dev/null", fifo, link):
        with pytest.raises(ValueError, match="is not a regular file; name one"):
            _search(path).fit(*DATA)


def test_a_checkpoint_of_an_earlier_version_is_refused(tmp_path):
    path = tmp_path / "search.json"
    _search(path, n_iterations=1).fit(*DATA)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format": 1, "search": content["search"][0]}))
    with pytest.raises(ValueError, match=r"was written by an earlier version.*format 1.*delete it"):
        _search(path, n_iterations=1).fit(*DATA)


def test_a_file_without_evaluations_binds_nobody(tmp_path, monkeypatch):
    path = tmp_path / "search.json"
    monkeypatch.setattr("skdesc.model_selection._evaluation.cross_validate", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        _search(path).fit(*DATA)
    monkeypatch.undo()
    assert json.loads(path.read_text())["evaluations"] == {}
    _search(path, cv=KFold(4)).fit(*DATA)


def _interrupted(*args, **kwargs):
    raise KeyboardInterrupt


def test_what_cannot_be_identified_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr("skdesc.model_selection._evaluation.cross_validate", None)
    path, lock = tmp_path / "search.json", threading.Lock()

    def scoring(estimator, X, y):
        with lock:
            return estimator.score(X, y)

    with pytest.raises(ValueError, match=r"checkpoint is set, but scoring holds .*lock"):
        _search(path, scoring=scoring).fit(*DATA)
    assert not path.exists()


@pytest.mark.parametrize("place", ["scoring", "transformer", "objective"])
def test_another_value_in_a_closure_is_another_search(tmp_path, place):
    path = tmp_path / "search.json"

    def search(factor):
        changes = {
            "scoring": {"scoring": lambda e, X, y: factor * e.score(X, y)},
            "transformer": {"estimator__functiontransformer__func": lambda X: factor * X},
            "objective": {"stage_one_objective": lambda e, Z, y, p: factor * Z[0, 0]},
        }
        return _search(path, n_iterations=1, **changes[place])

    search(1.0).fit(*DATA)
    search(1.0).fit(*DATA)
    with pytest.raises(ValueError, match="belongs to another search"):
        search(-1.0).fit(*DATA)
