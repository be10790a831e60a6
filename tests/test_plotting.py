import itertools

import matplotlib as mpl
import numpy as np
import pytest
from model_selection.processes import run_python
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, TwoStagePSOSearchCV
from skdesc.datasets import load_carbon_dimer
from skdesc.plotting import ParityDisplay, SearchDisplay

mpl.use("agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def searches():
    data = make_regression(60, 6, n_informative=4, noise=3.0, random_state=0)
    search = TwoStagePSOSearchCV(
        make_pipeline(PCA(), Ridge()),
        {"pca__n_components": randint(1, 7), "pca__whiten": [False, True]},
        {"ridge__alpha": loguniform(1e-4, 10)},
        n_particles=4, n_iterations=4, cv=3, random_state=0,
    )
    cycles = TwoStagePSOSearchCV(**{**search.get_params(deep=False), "n_cycles": 2})
    cycles.set_params(stage_one_objective="alignment")
    metrics = {"r2": "r2", "mae": "neg_mean_absolute_error"}
    several = TwoStagePSOSearchCV(**search.get_params(deep=False))
    several.set_params(scoring=metrics, objective=["r2", "mae"])
    return {
        name: each.fit(*data)
        for name, each in {"plain": search, "cycles": cycles, "several": several}.items()
    }


def test_convergence(searches):
    display = SearchDisplay.from_search(searches["plain"])
    assert [ax.get_title() for ax in display.axes_] == ["stage 1: cv", "stage 2: cv"]
    for ax, stage in zip(display.axes_, searches["plain"].stage_results_, strict=True):
        best = ax.lines[-1].get_ydata()
        assert (np.diff(best) >= 0).all()
        assert best[-1] == stage["best_score"]
        (band,) = ax.collections
        assert len(band.get_paths()[0].vertices) >= 2 * 4
    assert display.figure_ is display.axes_[0].figure
    titles = [ax.get_title() for ax in SearchDisplay.from_search(searches["cycles"]).axes_]
    assert titles[2] == "cycle 1, stage 1: alignment"


@pytest.mark.parametrize("name", ["plain", "cycles", "several"])
@pytest.mark.parametrize("kind", ["convergence", "parameters", "parallel"])
def test_every_kind_is_drawn(searches, kind, name):
    display = SearchDisplay.from_search(searches[name], kind=kind)
    display.figure_.canvas.draw()
    if kind == "parallel":
        (panel, _) = display.figure_.axes
        # each parameter with the ends of its axis
        assert len(panel.texts) == 2 * len(panel.get_xticks()) == 2 * len(display.params)
        assert {"False", "True"} <= {text.get_text() for text in panel.texts} or name == "cycles"
    if kind == "parameters":
        assert {ax.get_title() for ax in display.axes_} <= {
            "pca__n_components", "pca__whiten", "ridge__alpha",
        }
        assert display.axes_[-1].get_yscale() == "log"


def test_pareto(searches):
    display = SearchDisplay.from_search(searches["several"], kind="pareto")
    (ax,) = display.axes_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("r2", "mae")
    swapped = display.plot(kind="pareto", metric=["mae", "r2"])
    assert swapped.axes_[0].get_xlabel() == "mae"


def test_pareto_of_error_and_time(searches):
    timed = TwoStagePSOSearchCV(**searches["plain"].get_params(deep=False))
    timed.set_params(objective=["score", "score_time"])
    timed.fit(*make_regression(60, 6, n_informative=4, noise=3.0, random_state=0))
    (ax,) = SearchDisplay.from_search(timed, kind="pareto").axes_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("score", "score_time")
    front = ax.lines[0].get_xydata()
    assert len(front) == len(timed.pareto_front_)
    # the better, the slower
    assert (np.diff(front[:, 1]) > 0).all()
    # with one metric there is no front, but times may be asked for
    metric = ["score", "fit_time"]
    display = SearchDisplay.from_search(searches["plain"], kind="pareto", metric=metric)
    assert (display.axes_[0].collections[0].get_offsets()[:, 1] > 0).all()


def test_front_is_that_of_the_metrics_shown(searches):
    """The swarm has looked at one of them only, or at others."""
    metric = ["score", "score_time"]
    display = SearchDisplay.from_search(searches["plain"], kind="pareto", metric=metric)
    results = searches["plain"].cv_results_
    costs = np.column_stack([-results["mean_test_score"], results["mean_score_time"]])
    front = display.axes_[0].lines[0].get_xydata() * [-1, 1]
    beaten = [((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any() for row in costs]
    assert sorted(front.tolist()) == sorted(costs[~np.array(beaten)].tolist())


def test_colors_are_those_of_what_the_search_looked_at(searches):
    data = make_regression(60, 6, n_informative=4, noise=3.0, random_state=0)
    for changes in ({"objective": "mae", "refit": False}, {"objective": None, "refit": "mae"}):
        search = clone(searches["several"]).set_params(n_iterations=1, **changes).fit(*data)
        display = SearchDisplay.from_search(search, kind="parallel")
        assert display.figure_.axes[-1].get_ylabel() == "mae"
        pareto = display.plot(kind="pareto").axes_[0]
        assert (pareto.get_xlabel(), pareto.get_ylabel()) == ("mae", "r2")


def test_axes_placed_by_hand_are_divided(searches):
    figure = plt.figure()
    ax = figure.add_axes([0.2, 0.2, 0.6, 0.6])
    display = SearchDisplay.from_search(searches["plain"], ax=ax)
    boxes = [panel.get_position() for panel in display.axes_]
    assert boxes[0].x0 == pytest.approx(0.2)
    assert boxes[1].x1 == pytest.approx(0.8)
    assert boxes[0].x1 < boxes[1].x0


def test_given_axes_are_used(searches):
    figure, (left, right) = plt.subplots(1, 2)
    display = SearchDisplay.from_search(searches["plain"], ax=left)
    assert display.figure_ is figure
    assert len(display.axes_) == 2
    assert SearchDisplay.from_search(searches["plain"], kind="parallel", ax=right).axes_[0] is right


def test_failed_candidates_have_no_place():
    scores = np.full((3, 2, 1), np.nan)
    display = SearchDisplay([{"label": "all", "scores": scores}], {}, {}, [], None).plot()
    assert not display.axes_[0].lines
    scores[1, 1], scores[2, 0] = 1.0, -np.inf
    display.plot()
    assert display.axes_[0].lines[-1].get_ydata().tolist() == [1.0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kind": "pie"}, "kind is 'pie'"),
        ({"kind": "pareto"}, "2 of the metrics"),
        ({"kind": "parallel", "metric": "mae"}, "metric is 'mae'"),
    ],
)
def test_bad_search_options(searches, options, match):
    with pytest.raises(ValueError, match=match):
        SearchDisplay.from_search(searches["plain"], **options)


def test_not_a_fitted_search():
    with pytest.raises(ValueError, match="search is a Ridge without history_"):
        SearchDisplay.from_search(Ridge())


def test_parity_of_energies():
    display = ParityDisplay.from_predictions(
        [-10.0, -4.0], [-10.2, -4.0], n_atoms=[2, 4], name="test", color="C1"
    )
    assert display.rmse == pytest.approx(0.1 / np.sqrt(2))
    assert display.mae == pytest.approx(0.05)
    (text,) = display.ax_.get_legend().get_texts()
    assert text.get_text() == "test: RMSE 70.7 meV/atom, MAE 50 meV/atom"
    assert display.ax_.get_xlim() == display.ax_.get_ylim()
    ParityDisplay.from_predictions([-4.9], [-4.8], ax=display.ax_)
    assert len(display.ax_.lines) == 1
    assert len(display.ax_.get_legend().get_texts()) == 2


def test_parity_of_forces():
    rng = np.random.RandomState(0)
    true = [rng.normal(size=(n, 3)) for n in (2, 3)]
    display = ParityDisplay.from_predictions(true, [f + 0.01 for f in true], quantity="forces")
    assert display.y_true.shape == (15,)
    assert display.rmse == pytest.approx(0.01)
    assert "meV/Å" in display.ax_.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (([1.0], [1.0]), {"quantity": "charge"}, "quantity is 'charge'"),
        (([1.0], [1.0, 2.0]), {}, "y_true has 1 values and y_pred 2"),
        (([1.0], [1.0]), {"n_atoms": [1, 2]}, "one entry per energy"),
    ],
)
def test_bad_parity_options(arguments, options, match):
    with pytest.raises(ValueError, match=match):
        ParityDisplay.from_predictions(*arguments, **options)


def test_matplotlib_is_imported_when_drawing():
    code = "import sys, skdesc.plotting; assert 'matplotlib' not in sys.modules"
    run_python(code)


@pytest.fixture(scope="module")
def one_pass():
    """Its last step finds some of the parameters itself."""
    data = load_carbon_dimer()
    pipeline = make_pipeline(SOAPTransformer(["C"]), GAPRegressor(n_sparse=10))
    return TwoStagePSOSearchCV(
        pipeline,
        {"soaptransformer__cutoff": [4.0, 5.0, 6.0], "soaptransformer__n_max": [4, 5, 6]},
        {"gapregressor__sigma_energy": loguniform(1e-3, 1e-1)},
        n_particles=4, n_iterations=3, stage_one_objective="one_pass", cv=KFold(3),
        random_state=0,
    ).fit([data.frames[i] for i in data.train], data.energies[data.train])


def test_candidates_of_one_pass(one_pass):
    display = SearchDisplay.from_search(one_pass)
    assert [ax.get_title() for ax in display.axes_] == ["stage 1: one_pass", "stage 2: one_pass"]
    moved_to = {repr(params) for entry in one_pass.history_ for params in entry["params"]}
    seen = set(map(repr, one_pass.cv_results_["params"]))
    assert moved_to <= seen
    assert len(seen - moved_to) <= 1  # the estimator as it was given
    display.plot(kind="parameters")
    assert {ax.get_title() for ax in display.axes_} == set(one_pass.best_params_)
    for ax in display.axes_:
        points, (star,) = ax.collections[0].get_offsets(), ax.lines
        assert len(points) == len(seen)
        assert star.get_ydata()[0] == one_pass.best_params_[ax.get_title()]
    display.plot(kind="parallel")
    assert len(display.axes_[0].lines) == len(seen) + len(one_pass.best_params_)


class TestParityAtItsDefaultSize:
    """Nothing runs into anything else."""

    @staticmethod
    def boxes(display):
        display.figure_.canvas.draw()
        renderer = display.figure_.canvas.get_renderer()
        ax = display.ax_
        labels = [[text.get_window_extent(renderer) for text in axis.get_ticklabels()
                   if text.get_text()] for axis in (ax.xaxis, ax.yaxis)]
        return labels, ax.get_legend().get_window_extent(renderer), ax.get_window_extent(renderer)

    @pytest.mark.parametrize("low", [-7.9123, -8412.03, 0.0])
    @pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
    def test_labels_and_legend(self, low, spread):
        rng = np.random.default_rng(0)
        y = low + spread * rng.random(50)
        display = ParityDisplay.from_predictions(y, y + 0.1 * spread * rng.random(50))
        ParityDisplay.from_predictions(y, y - 0.2 * spread, name="a longer name", ax=display.ax_)
        labels, legend, axes = self.boxes(display)
        for part in labels:
            assert len(part) > 2
            for first, second in itertools.pairwise(part):
                assert not first.overlaps(second)
        assert legend.y0 >= axes.y1
        figure = display.figure_.bbox
        assert legend.x1 <= figure.x1
        assert legend.y1 <= figure.y1

    def test_limits_hold_all_points(self):
        display = ParityDisplay.from_predictions([0.0, 1.0], [0.0, 1.0])
        ParityDisplay.from_predictions([-1.0, 3.0], [0.0, 3.0], ax=display.ax_)
        low, high = display.ax_.get_xlim()
        assert low < -1.0
        assert high > 3.0
        assert display.ax_.get_ylim() == (low, high)
