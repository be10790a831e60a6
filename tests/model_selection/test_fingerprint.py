"""What identifies a search: nothing that differs is taken for the same, in any process."""

import enum
import functools
import importlib
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import molecule
from model_selection.processes import start_python
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdesc.model_selection._fingerprint import UnidentifiableError, fingerprint

FACTOR = 1.0
OPTIONS = {"power": 2}
CALLS = []


def _hash(value):
    return fingerprint(value=value)["value"]


def _weighted(weight):
    def score(estimator, X, y):
        return weight * estimator.score(X, y)

    return score


def _by_global(y_true, y_pred):
    return FACTOR * r2_score(y_true, y_pred)


def _by_options(y_true, y_pred):
    return OPTIONS["power"]


def _calls_another(y_true, y_pred):
    return _by_global(y_true, y_pred)


def _logging(y_true, y_pred):
    CALLS.append(y_pred)
    return 1.0


class _Metric:
    def __init__(self, power):
        self.power = power
        self.calls = []

    def score(self, estimator, X, y):
        self.calls.append(len(y))
        return self.power * estimator.score(X, y)

    def __call__(self, estimator, X, y):
        return self.score(estimator, X, y)


class _Scaled(BaseEstimator):
    offset = 0.0

    def __init__(self, function=None):
        self.function = function


class _Color(enum.Enum):
    RED = 1
    BLUE = 2


def _requesting(weights):
    with config_context(enable_metadata_routing=True):
        return Ridge().set_fit_request(sample_weight=weights)


def _ramp(slope):
    return FunctionTransformer(lambda X: slope * X)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda e, X, y: e.score(X, y), lambda e, X, y: -e.score(X, y)),
        (make_scorer(lambda a, b: 1.0), make_scorer(lambda a, b: 1.0, greater_is_better=False)),
        (make_scorer(r2_score), make_scorer(r2_score, force_finite=False)),
        (lambda e, X, y, k=1: k, lambda e, X, y, k=2: k),
        (lambda e, X, y, *, k=1: k, lambda e, X, y, *, k=2: k),
        (_weighted(1.0), _weighted(2.0)),
        (_weighted(np.zeros(3)), _weighted(np.ones(3))),
        (functools.partial(r2_score, force_finite=True), functools.partial(r2_score)),
        (functools.partial(_weighted(1.0), None), functools.partial(_weighted(2.0), None)),
        (_Metric(1).score, _Metric(2).score),
        (_Metric(1), _Metric(2)),
        (_ramp(1.0), _ramp(2.0)),
        (_Scaled(_weighted(1)), _Scaled(_weighted(2))),
        (str.lower, str.upper),
        (np.exp, np.log),
        ("abc".startswith, "abd".startswith),
        (stats.uniform(0, 1), stats.uniform(0, 2)),
        (stats.uniform, stats.norm),
        (stats.rv_histogram(([1, 2], [0, 1, 2])), stats.rv_histogram(([2, 1], [0, 1, 2]))),
        ([1, 2], (1, 2)),
        (1, 1.0),
        (True, 1),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (_Color.RED, _Color.BLUE),
        (np.float32(1), np.float64(1)),
        (np.zeros(2), np.zeros((2, 1))),
        (np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)),
        (_requesting(True), _requesting(False)),
        (molecule("H2O"), molecule("H2")),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (np.random.default_rng(0), np.random.default_rng(1)),
        (SimpleNamespace(a=1), SimpleNamespace(a=2)),
    ],
)
def test_what_differs_is_told_apart(first, second):
    assert _hash(first) != _hash(second)
    assert _hash(first) == _hash(first)


@pytest.mark.parametrize(
    "make",
    [
        lambda: _weighted(1.0),
        lambda: functools.partial(_weighted(2.0), None),
        lambda: _Metric(3).score,
        lambda: make_pipeline(StandardScaler(), _ramp(2.0), Ridge(alpha=3)),
        lambda: {"b": stats.loguniform(1e-3, 1), "a": [1, 2]},
        lambda: [molecule("CH4")],
        lambda: np.arange(5)[::2],
        lambda: {"x", "y", "z"},
    ],
)
def test_what_is_equal_is_found_equal(make):
    assert _hash(make()) == _hash(make())


def test_order_of_dicts_and_fitted_attributes_have_no_influence():
    assert _hash({"a": 1, "b": 2}) == _hash({"b": 2, "a": 1})
    fitted = Ridge().fit(np.eye(3), np.ones(3))
    assert _hash(fitted) == _hash(Ridge())


@pytest.mark.parametrize("function", [_by_global, _calls_another, make_scorer(_calls_another)])
def test_globals_that_a_function_uses_count(monkeypatch, function):
    before = _hash(function)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 2.0)
    assert _hash(function) != before


def test_content_of_globals_counts_unless_it_is_only_written(monkeypatch):
    before = _hash(_by_options), _hash(_logging)
    monkeypatch.setitem(OPTIONS, "power", 3)
    CALLS.append(1)
    assert _hash(_by_options) != before[0]
    assert _hash(_logging) == before[1]


def test_a_log_of_calls_is_no_state():
    metric = _Metric(1)
    before = _hash(metric.score), _hash(metric)
    metric.calls.append(5)
    assert (_hash(metric.score), _hash(metric)) == before


def test_redefined_functions_and_classes_of_the_same_name(tmp_path, monkeypatch):
    """A cell of a notebook run again, or a module edited between two runs."""
    monkeypatch.syspath_prepend(tmp_path)
    hashes = set()
    for value in (0.0, 1.0):
        (tmp_path / "edited.py").write_text(
            f"class Scorer:\n    def __call__(self, e, X, y):\n        return {value}\n"
            f"def score(e, X, y):\n    return {value}\n"
        )
        importlib.invalidate_caches()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            module = importlib.import_module("edited")
        finally:
            sys.dont_write_bytecode = before
            del sys.modules["edited"]
        hashes |= {_hash(module.score), _hash(module.Scorer()), _hash(module.Scorer)}
    assert len(hashes) == 6


def test_attributes_of_modules_of_the_user(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helpers_of_user.py").write_text("def score(y): return 1.0\n")
    import helpers_of_user

    scope = {"helpers_of_user": helpers_of_user}
    exec("def scorer(e, X, y): return helpers_of_user.score(y)", scope)
    before = _hash(scope["scorer"])
    monkeypatch.setattr(helpers_of_user, "score", lambda y: 2.0)
    assert _hash(scope["scorer"]) != before
    exec("def passes_it_on(e, X, y): return vars(helpers_of_user)", scope)
    with pytest.raises(UnidentifiableError, match="uses the module helpers_of_user"):
        _hash(scope["passes_it_on"])
    exec("def imports(e, X, y):\n    import helpers_of_user as h\n    return h.score(y)", scope)
    with pytest.raises(UnidentifiableError, match="imports helpers_of_user"):
        _hash(scope["imports"])


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ((index for index in range(3)), "generator.*is consumed by iterating over it"),
        (map(str, [1]), "is consumed by iterating over it"),
        (threading.Lock(), "lock.*cannot be taken apart"),
        (lambda e, X, y: eval("1.0"), "lambda.*calls eval"),
        (np.frompyfunc(abs, 1, 1), "is compiled, and not found"),
        (sys.modules[__name__], "is a module"),
        (_weighted(threading.Lock()), "lock"),
        (_Metric(threading.Lock()).score, "lock"),
        (functools.partial(_weighted, threading.Lock()), "lock"),
        ([{"a": (threading.Lock(),)}], "lock"),
    ],
)
def test_in_doubt_the_object_is_refused_by_name(value, match):
    with pytest.raises(UnidentifiableError, match=rf"(?s)scoring holds .*{match}"):
        fingerprint(scoring=value)


def test_cycles_end():
    cyclic = []
    cyclic.append(cyclic)
    assert _hash(cyclic) == _hash(cyclic)

    def recursive(n):
        return recursive(n - 1) if n else 0

    assert _hash(recursive) == _hash(recursive)


CHILD = """
import sys
from model_selection import test_fingerprint as t
print(t.fingerprint(v=[
    t.stats.norm, t.stats.loguniform(1, 2), {"b", "a", "c"}, t._weighted(1.5), t._Metric(2).score,
    t.make_pipeline(t.StandardScaler(), t._ramp(2.0)), str.lower, t.np.exp, t.np.mean, len,
    t.molecule("H2O"), t.make_scorer(t._calls_another), t.functools.partial(t._by_options, 1),
    lambda x: x in {"p", "q", "r"},
])["v"])
"""


def test_hashes_are_those_of_another_process():
    children = [start_python(CHILD, env={"PYTHONHASHSEED": str(seed)}) for seed in (1, 2)]
    first, second = (child.communicate()[0] for child in children)
    assert len(first.strip()) == 64
    assert first == second
