"""HTML page on a potential that was fitted with given or searched parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.pipeline import Pipeline

from ..model_selection import TwoStagePSOSearchCV
from ..plotting import SearchDisplay
from . import _report_plots as plots
from ._data import LabeledStructures
from ._report_data import Part, predicted_part
from ._report_html import cards, digits, page, table, wide_figure
from ._report_sections import (
    data_section,
    error_cards,
    error_section,
    pairs_section,
    repeat_section,
    uncertainty_section,
    worst_section,
)

_UNITS = {"energy": "meV/atom", "forces": "meV/A", "virials": "meV/atom"}
_WHY = {
    "n_iterations": "all iterations were completed",
    "max_time": "the time was up",
    "convergence": "the particles had converged",
    "interrupt": "it was interrupted",
}


def model_page(
    pipeline: Pipeline, sets: Mapping[str, LabeledStructures], *,
    command: str, warnings: Sequence[str] = (), search: TwoStagePSOSearchCV | None = None,
) -> str:
    """Write a page on data, errors, uncertainty and, if there was one, the search.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted pipeline whose last step is a GAPRegressor.
    sets : mapping of str to LabeledStructures
        "training" first, then "validation" and "test" if given.
    command : str
        Command line that produced the potential.
    warnings : sequence of str, default=()
        Warnings about the data and the fit.
    search : TwoStagePSOSearchCV, default=None
        The search that found the parameters.

    Returns
    -------
    str
        Self-contained HTML.
    """
    parts = [
        predicted_part(name, pipeline, data, np.arange(len(data)), with_std=name != "training")
        for name, data in sets.items()
    ]
    data, gap = sets["training"], pipeline[-1]
    sections = [
        ("Result", _result(gap, data, parts)),
        ("Data", data_section(data, warnings, gap.e0_)),
        ("Search", "" if search is None else _search(search)),
        ("Errors", error_section(parts, _remark(parts, sets))),
        ("Uncertainty", uncertainty_section(parts)),
        ("Largest errors", worst_section(parts[1:] or parts)),
        ("Pairs of atoms", pairs_section(pipeline, data.elements)),
        ("How to repeat this", repeat_section(command, "", "", pipeline)),
    ]
    return page(f"Potential for {', '.join(data.elements)}", sections)


def why_stopped(stage: Mapping) -> str:
    """Describe why a stage of a search ended."""
    return _WHY.get(stage["stopped_by"], stage["stopped_by"])


def _result(gap, data: LabeledStructures, parts: list[Part]) -> str:
    loo = gap.loo_ / data.n_atoms
    shown = [(str(len(gap.weights_)), "sparse points")]
    if np.isfinite(loo).any():
        rmse = digits(1e3 * np.sqrt(np.nanmean(loo**2)))
        shown.append((rmse, "energy RMSE, meV/atom, leave-one-out"))
    return cards([*shown, *error_cards(parts[-1])])


def _remark(parts: list[Part], sets: Mapping[str, LabeledStructures]) -> str:
    """Describe which sets were predicted only in part."""
    return "".join(
        f" Of {len(sets[part.name])} {part.name} structures, {len(part.data)} evenly chosen ones "
        "were predicted for this page." for part in parts if len(part.data) < len(sets[part.name])
    )


def _search(search: TwoStagePSOSearchCV) -> str:
    stages = table(
        ["stage", "objective", "iterations", "models", "seconds", "ended as"],
        [(stage["stage"], stage["objective"], stage["n_iterations"], stage["n_models_trained"],
          f"{stage['time']:.3g}", why_stopped(stage)) for stage in search.stage_results_],
        text=(0, 1, 5),
    )
    found = table(["parameter", "value"], [
        (name, f"{value:.4g}" if isinstance(value, float) else value)
        for name, value in search.best_params_.items()
    ])
    errors = table(
        ["cross-validated RMSE", "before the search", "found"],
        [(f"{quantity}, {_UNITS[quantity]}", *(digits(1e3 * search.comparison_[quantity][which])
                                               for which in ("present", "found")))
         for quantity in _UNITS if quantity in search.comparison_],
    )
    figure, axes = plots.new_figure(4.4 * len(search.stage_results_))
    SearchDisplay.from_search(search, ax=axes)
    return (f"{stages}<h3>Parameters found</h3>{found}<h3>Errors</h3>{errors}"
            + wide_figure(figure, "Scores of the candidates, the higher the better"))
