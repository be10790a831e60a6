"""The HTML page on a search: data, candidates, errors, and how to repeat it."""

from __future__ import annotations

from html import escape

import numpy as np

from . import _report_plots as plots
from ._data import LabeledStructures, collect
from ._report_data import Part, predicted_part
from ._report_html import cards, digits, figures, milli, page, pair, table, warning
from ._report_sections import (
    UNITS,
    data_section,
    error_cards,
    error_section,
    pairs_section,
    repeat_section,
    uncertainty_section,
    worst_section,
)


def make_page(auto, test=None, command: str | None = None) -> str:
    """Write the page.

    Parameters
    ----------
    auto : AutoPotential
        Fitted estimator.
    test : sequence of ase.Atoms or (frames, y, targets), default=None
        Test structures with known targets.
    command : str, default=None
        Command that started the search.

    Returns
    -------
    str
        Self-contained HTML.
    """
    parts = _make_parts(auto, test)
    pipeline, data = auto.pipeline_, auto._data
    remark = " Held-back structures were predicted by a model that had not learned them."
    sections = [
        ("Result", _result(auto, parts)),
        ("Data", data_section(data, auto.warnings_, pipeline[-1].e0_)),
        ("What was tried", _tried(auto)),
        ("Errors", error_section(parts, remark)),
        ("Uncertainty", uncertainty_section(parts)),
        ("Largest errors", worst_section(parts[1:] or parts)),
        ("Pairs of atoms", pairs_section(pipeline, data.elements)),
        ("How to repeat this", _repeat(auto, command)),
    ]
    return page(f"Potential for {', '.join(data.elements)}", sections)


def _make_parts(auto, test) -> list[Part]:
    """Training, held-back and test structures, with predictions."""
    data, parts = auto._data, []
    learned = np.setdiff1d(np.arange(len(data)), auto.held_back_)
    if not len(learned) or not len(auto.held_back_):  # cross-validated, or none held back
        learned = np.arange(len(data))
    parts.append(predicted_part("training", auto.pipeline_, data.take(learned), learned))
    if len(auto.held_back_):
        model, index = auto._outcome.compared, auto._outcome.folds[0][1]
        parts.append(predicted_part("held back", model, data.take(index), index, with_std=True))
    if test is not None:
        labeled = test_data(test)
        index = np.arange(len(labeled))
        parts.append(predicted_part("test", auto.pipeline_, labeled, index, with_std=True))
    return parts


def test_data(test) -> LabeledStructures:
    """Convert structures, or (frames, y, targets), to structures with targets."""
    if isinstance(test, tuple) and len(test) == 3 and isinstance(test[2], dict):
        frames, y, targets = test
        return collect(frames, y, **targets)
    return collect(test)


def _result(auto, parts) -> str:
    chosen = auto.leaderboard_[0]
    shown = [(str(chosen["n_points"]), "sparse points")]
    if "time_per_atom" in chosen:
        shown.append((f"{digits(1e6 * chosen['time_per_atom'])} us", "per atom and step"))
    shown = [*shown, *error_cards(parts[-1])]
    html = f'<p>{escape(chosen["candidate"])}</p>{cards(shown)}'
    if not auto.has_learned_all_:
        html += warning("The potential has not learned from all structures.")
    if auto.improvement_:
        rows = [(name.replace("_", " "), milli(name, chosen[name]), f"{ratio:.2f}")
                for name, ratio in auto.improvement_.items()]
        html += "<h3>Held-back errors relative to the default pipeline</h3>" + table(
            ["error", "value", "of the default"], rows
        )
    return html


def _tried(auto) -> str:
    records = [r for r in auto.leaderboard_ if "failure" not in r and "time_per_atom" in r]
    failures = [r for r in auto.leaderboard_ if "failure" in r]
    html = "".join(warning(f"{r['candidate']}: {r['failure']}") for r in failures)
    if not records:
        return html
    quantities = [name[:-4] for name in records[0] if name.endswith("_mae")]
    html += _tried_table(records, quantities)
    error = "forces_mae" if "forces" in quantities else "energy_mae"
    pictures = [(plots.front(records, error), "Error and speed")]
    curve = plots.learning_curve(records, error)
    if curve is not None:
        pictures.append((curve, "Learning curves: held-back error against training structures"))
    return html + figures(pictures)


def _tried_table(records, quantities) -> str:
    rows = []
    for record in records:
        errors = (pair(record[f"{q}_mae"], record[f"{q}_rmse"]) for q in quantities)
        rows.append((
            record["candidate"], record["n_structures"], record["n_points"], *errors,
            digits(1e6 * record["time_per_atom"]), f"{record['seconds']:.3g}",
        ))
    header = ["candidate", "structures", "points", *quantities, "us per atom", "seconds"]
    return (f"<p>Errors on held-back structures, mean absolute / root mean square{UNITS}; the best "
            "first.</p>" + table(header, rows, text=(0,), long=(0,), chosen=0))


def _repeat(auto, command) -> str:
    parameters = ", ".join(
        f"{name}={value!r}" for name, value in sorted(auto.get_params().items())
    )
    code = f"AutoPotential({parameters}).fit(frames)"
    remark = f"The search took {auto.seconds_:.3g} s."
    return repeat_section(command, code, remark, auto.pipeline_)
