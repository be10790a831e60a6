"""Course and result of a search."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ._panels import panels

# besides scores, every candidate has these, in seconds
_TIMES = ("fit_time", "score_time")


class SearchDisplay:
    """Course and result of a search.

    Make one with :meth:`from_search`.

    Parameters
    ----------
    stages : list of dict
        One per stage: "label", and "scores", an array (n_iterations, n_candidates, n_metrics),
        with NaN where an iteration has fewer candidates than the first.
    params : dict of str to list
        Values of each parameter that varied, by candidate that was cross-validated.
    scores : dict of str to ndarray
        Their mean test scores, by metric, and mean times.
    front : ndarray of int
        Candidates that no other beats.
    best_index : int or None
        The best candidate.
    objectives : list of str, default=()
        What the search looked at, if it was told by name.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Panels of the last plot.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdesc import TwoStagePSOSearchCV
    >>> from skdesc.plotting import SearchDisplay
    >>> search = TwoStagePSOSearchCV(
    ...     make_pipeline(PCA(), Ridge()),
    ...     {"pca__n_components": [1, 2, 3]}, {"ridge__alpha": [0.1, 1.0, 10.0]},
    ...     n_particles=3, n_iterations=3, random_state=0,
    ... ).fit(*make_regression(n_features=4, random_state=0))
    >>> display = SearchDisplay.from_search(search)
    >>> [ax.get_title() for ax in display.axes_]
    ['stage 1: cv', 'stage 2: cv']
    """

    def __init__(
        self,
        stages: Sequence[Mapping[str, Any]],
        params: Mapping[str, Any],
        scores: Mapping[str, Any],
        front: np.ndarray | None,
        best_index: int,
        objectives: Sequence[str] = (),
    ) -> None:
        self.stages = stages
        self.params = params
        self.scores = scores
        self.front = front
        self.best_index = best_index
        self.objectives = objectives

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        kind: str = "convergence",
        metric: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot a fitted search.

        Parameters
        ----------
        search : TwoStagePSOSearchCV
            A fitted search.
        kind, metric, ax : object
            See :meth:`plot`.

        Returns
        -------
        SearchDisplay
            The display.
        """
        if not hasattr(search, "history_"):
            raise ValueError(
                f"search is a {type(search).__name__} without history_; fit a TwoStagePSOSearchCV"
            )
        results = search.cv_results_
        params = _varied(results["params"])
        scores = {
            key.removeprefix("mean_test_"): values
            for key, values in results.items()
            if key.startswith("mean_test_")
        }
        scores |= {time: results[f"mean_{time}"] for time in _TIMES}
        front = np.array([point["index"] for point in search.pareto_front_])
        named = search.refit if search.objective is None else search.objective
        named = named if isinstance(named, (list, tuple)) else [named]
        objectives = [name for name in named if isinstance(name, str) and name in scores]
        best = getattr(search, "best_index_", None)
        display = cls(_stages_of(search), params, scores, front, best, objectives)
        return display.plot(kind=kind, metric=metric, ax=ax)

    def plot(self, *, kind: str = "convergence", metric: str | None = None, ax: Any = None) -> Self:
        """Draw the search.

        Parameters
        ----------
        kind : {"convergence", "parameters", "parallel", "pareto"}, default="convergence"
            Best score and the middle 80 % of the swarm by iteration, stage by stage (without
            those of one iteration); values of each parameter in the order of evaluation;
            candidates as lines across all parameters; two metrics and the front of their
            trade-offs.
        metric : str or pair of str, default=None
            Which metric colors candidates, or which two make the front; "fit_time" and
            "score_time" count as metrics. By default what the search looked at, or the first
            ones. The convergence always shows what the swarm looked at.
        ax : matplotlib Axes, default=None
            Where to draw; it is divided if there is more than one panel.

        Returns
        -------
        SearchDisplay
            The display itself.
        """
        draw = {
            "convergence": self._plot_convergence,
            "parameters": self._plot_parameters,
            "parallel": self._plot_parallel,
            "pareto": self._plot_pareto,
        }
        if kind not in draw:
            raise ValueError(f"kind is {kind!r}, but must be one of {tuple(draw)}")
        draw[kind](metric, ax)
        self.figure_ = self.axes_[0].figure
        return self

    def _plot_convergence(self, metric, ax):
        stages = [stage for stage in self.stages if len(stage["scores"]) > 1] or self.stages
        self.axes_ = panels(ax, len(stages))
        for panel, stage in zip(self.axes_, stages, strict=True):
            scores = stage["scores"][:, :, 0]
            # failed candidates have no place on the axis, nor do iterations of nothing else
            scores = np.where(np.isfinite(scores), scores, np.nan)
            known = np.isfinite(scores).any(axis=1)
            if known.any():
                iterations, scores = 1 + np.flatnonzero(known), scores[known]
                low, middle, high = np.nanpercentile(scores, [10, 50, 90], axis=1)
                panel.fill_between(iterations, low, high, alpha=0.25, label="swarm, 80 %")
                panel.plot(iterations, middle, ".--", label="swarm, median")
                best = np.maximum.accumulate(np.nanmax(scores, axis=1))
                panel.plot(iterations, best, "k.-", label="best so far")
                panel.legend()
            panel.set(xlabel="iteration", title=stage["label"])
            panel.xaxis.get_major_locator().set_params(integer=True)
        self.axes_[0].set_ylabel("score")

    def _plot_parameters(self, metric, ax):
        score, _ = self._score(metric)
        self.axes_ = panels(ax, max(1, len(self.params)))
        for panel, (name, values) in zip(self.axes_, self.params.items(), strict=False):
            heights, ticks, log = _axis_of(values)
            low = np.percentile(score[np.isfinite(score)], 25)
            panel.scatter(np.arange(len(heights)), heights, c=score, vmin=low, s=12)
            if self.best_index is not None:
                panel.plot(self.best_index, heights[self.best_index], "r*", ms=12)
            if log:
                panel.set_yscale("log")
            if ticks:
                panel.set_yticks(range(len(ticks)), ticks)
            panel.set_xlabel("candidate")
            panel.set_title(name, fontsize="medium")

    def _plot_parallel(self, metric, ax):
        import matplotlib as mpl

        score, label = self._score(metric)
        params = self.params
        self.axes_ = panels(ax, 1, width=1.3 * len(params))
        panel = self.axes_[0]
        columns = []
        for place, values in enumerate(params.values()):
            heights, ticks, log = _axis_of(values)
            low, high = np.nanmin(heights), np.nanmax(heights)
            ends = (ticks[0], ticks[-1]) if ticks else (f"{low:.3g}", f"{high:.3g}")
            for end, height, side in zip(ends, (-0.03, 1.03), ("top", "bottom"), strict=True):
                panel.text(place, height, end, ha="center", va=side, fontsize="small")
            panel.axvline(place, color="0.8", lw=1, zorder=0)
            heights, low, high = (
                np.log(part) if log else part for part in (heights, low, high)
            )
            columns.append((heights - low) / (high - low or 1.0))
        # the first candidates may be so bad that all others would look alike
        norm = mpl.colors.Normalize(*np.percentile(score[np.isfinite(score)], [25, 100]))
        colormap = mpl.colormaps["viridis"]
        # the best on top
        for index in np.argsort(np.nan_to_num(score, nan=-np.inf)):
            if np.isfinite(score[index]):
                line = [column[index] for column in columns]
                panel.plot(line, color=colormap(norm(score[index])), alpha=0.7)
        panel.set_xticks(range(len(params)), list(params), rotation=30, ha="right")
        panel.set(yticks=[], ylim=(-0.12, 1.12))
        mappable = mpl.cm.ScalarMappable(norm, colormap)
        panel.figure.colorbar(mappable, ax=panel, label=label)

    def _plot_pareto(self, metric, ax):
        from ..model_selection._pareto import is_non_dominated

        first, second = self._metrics(metric, 2)
        self.axes_ = panels(ax, 1)
        panel = self.axes_[0]
        x, y = self.scores[first], self.scores[second]
        panel.scatter(x, y, s=10, color="0.7", label="candidates")
        front = self.front
        if not {first, second} <= set(self.objectives):
            costs = [self.scores[name] * (1 if name in _TIMES else -1) for name in (first, second)]
            front = np.flatnonzero(is_non_dominated(np.column_stack(costs)))
        order = front[np.argsort(x[front])]
        panel.plot(x[order], y[order], "o-", label="front")
        if self.best_index is not None:
            panel.plot(x[self.best_index], y[self.best_index], "r*", ms=12, label="best")
        # candidates that are far worse than most need not be seen
        for values, axis in ((x, "x"), (y, "y")):
            shown = [*values[order], *np.nanpercentile(values[np.isfinite(values)], [20, 80])]
            margin = 0.08 * (max(shown) - min(shown) or 1.0)
            panel.set(**{f"{axis}lim": (min(shown) - margin, max(shown) + margin)})
        panel.set(xlabel=first, ylabel=second)
        panel.legend()

    def _score(self, metric):
        """Values that color the candidates, and their name."""
        name = self._metrics(metric, 1)[0]
        return self.scores[name], name

    def _metrics(self, metric, count):
        known = list(self.scores)
        if metric is None:
            first = [name for name in known if name not in _TIMES and name not in self.objectives]
            chosen = [*self.objectives, *first][:count]
        else:
            chosen = [metric] if count == 1 else list(metric)
        if len(chosen) != count or not set(chosen) <= set(known):
            raise ValueError(
                f"metric is {metric!r}, but {count} of the metrics {known} must be named"
            )
        return chosen


def _stages_of(search):
    """Label and scores of each stage that has any; scores by iteration, particle and metric."""
    has_cycles = len({entry["cycle"] for entry in search.history_}) > 1
    stages = []
    for stage in search.stage_results_:
        where = stage["stage"], stage["cycle"]
        label = f"stage {where[0]}: {stage['objective']}"
        if has_cycles:
            label = f"cycle {where[1]}, {label}"
        scores = [
            np.reshape(entry["scores"], (len(entry["params"]), -1))
            for entry in search.history_
            if (entry["stage"], entry["cycle"]) == where
        ]
        if scores:
            stages.append({"label": label, "scores": _padded(scores)})
    return stages


def _padded(scores):
    """One array of the scores of all iterations, NaN where one has fewer than another."""
    longest = max(map(len, scores))
    return np.array([
        np.pad(one.astype(float), ((0, longest - len(one)), (0, 0)), constant_values=np.nan)
        for one in scores
    ])


def _varied(candidates):
    """Values of each parameter that is not the same for all candidates."""
    names = list(dict.fromkeys(name for params in candidates for name in params))
    columns = {name: [params.get(name) for params in candidates] for name in names}
    return {name: values for name, values in columns.items() if len(set(map(repr, values))) > 1}


def _axis_of(values):
    """Heights of values on an axis, labels of its ticks, and whether it is logarithmic."""
    if all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in values):
        heights = np.asarray(values, dtype=float)
        return heights, None, bool(heights.min() > 0 and heights.max() > 30 * heights.min())
    labels = [str(value) for value in values]
    ticks = sorted(set(labels))
    return np.array([ticks.index(label) for label in labels], dtype=float), ticks, False
