"""The HTML page on a search: data, candidates, errors, and how to repeat it."""

from __future__ import annotations

from html import escape

import numpy as np

from . import _report_plots as plots
from ._data import LabeledStructures, collect
from ._report_data import (
    Part,
    describe_data,
    dimer_curves,
    element_rows,
    error_rows,
    predicted_part,
    versions,
    worst_rows,
)

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f5f7; color: #1f2430; line-height: 1.5;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.6rem; margin: .3em 0; } h2 { font-size: 1.2rem; margin: 0 0 .6em; }
h3 { font-size: 1rem; margin: 1.2em 0 .4em; }
section { background: #fff; border: 1px solid #dfe2e8; border-radius: 8px; padding: 16px;
          margin: 16px 0; }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.card { background: #f4f6fa; border-radius: 6px; padding: 10px 12px; }
.card b { display: block; font-size: 1.3rem; } .card span { color: #5a6272; font-size: .85rem; }
.plots { display: grid; gap: 16px;
         grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
figure { margin: 12px 0 0; max-width: 460px; }
figure img { width: 100%; height: auto; display: block; }
figcaption { color: #5a6272; font-size: .9rem; }
.wide { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: .88rem; width: 100%; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap;
         border-bottom: 1px solid #e6e8ee; }
th { color: #5a6272; font-weight: 600; } tr.chosen td { background: #fff3e8; }
td.text, th.text { text-align: left; } td.long { white-space: normal; min-width: 9em;
          overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; }
dt { color: #5a6272; } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: #f4f6fa; border-radius: 6px; padding: 10px; overflow-x: auto;
      font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.warning { border-left: 4px solid #d6604d; background: #fdf1ee; padding: 8px 12px; margin: 8px 0;
           overflow-wrap: anywhere; }
@media (max-width: 500px) { main { padding: 8px; } section { padding: 12px; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } th, td { padding: 4px 5px; }
  table { font-size: .8rem; } td.long { min-width: 6.5em; } }
"""

_UNITS = ", in meV per atom, of forces in meV/A"


def make_page(auto, test=None, command: str | None = None) -> str:
    """Write the page.

    Parameters
    ----------
    auto : AutoPotential
        Fitted.
    test : sequence of ase.Atoms or (frames, y, targets), default=None
        Structures with known targets that were not learned.
    command : str, default=None
        What the search was started with.

    Returns
    -------
    str
        HTML that needs no other file.
    """
    parts = _make_parts(auto, test)
    sections = [
        ("Result", _result(auto, parts)),
        ("Data", _data(auto)),
        ("What was tried", _tried(auto)),
        ("Errors", _errors(parts)),
        ("Uncertainty", _uncertainty(parts)),
        ("Largest errors", _worst(parts)),
        ("Pairs of atoms", _dimers(auto)),
        ("How to repeat this", _repeat(auto, command)),
    ]
    body = "".join(f"<section><h2>{title}</h2>{content}</section>"
                   for title, content in sections if content)
    elements = escape(", ".join(auto._data.elements))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Potential for {elements}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>Potential for {elements}</h1>{body}</main></body></html>\n"
    )


def _make_parts(auto, test) -> list[Part]:
    """Learned, held back and test structures, with predictions."""
    data, parts = auto._data, []
    learned = np.setdiff1d(np.arange(len(data)), auto.held_back_)
    if not len(learned) or not len(auto.held_back_):  # cross-validated, or nothing held back
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
    """Structures with targets, from structures alone or (frames, y, targets)."""
    if isinstance(test, tuple) and len(test) == 3 and isinstance(test[2], dict):
        frames, y, targets = test
        return collect(frames, y, **targets)
    return collect(test)


def _result(auto, parts) -> str:
    chosen = auto.leaderboard_[0]
    cards = [(escape(str(chosen["n_points"])), "sparse points")]
    if "time_per_atom" in chosen:
        cards.append((f"{_digits(1e6 * chosen['time_per_atom'])} us", "per atom and step"))
    shown = parts[-1]
    for quantity, blocks in shown.residuals.items():
        values = np.concatenate([np.empty(0), *blocks])
        if values.size:
            unit = "meV/A" if quantity == "forces" else "meV/atom"
            cards.append((_digits(1e3 * np.mean(np.abs(values))),
                          f"{quantity} MAE, {unit}, {shown.name}"))
    text = "".join(f'<div class="card"><b>{value}</b><span>{label}</span></div>'
                   for value, label in cards)
    html = f'<p>{escape(chosen["candidate"])}</p><div class="cards">{text}</div>'
    if not auto.has_learned_all_:
        html += _warning("The potential has not learned from all structures.")
    if auto.improvement_:
        rows = [(name.replace("_", " "), _milli(name, chosen[name]), f"{ratio:.2f}")
                for name, ratio in auto.improvement_.items()]
        html += "<h3>Errors held back, relative to the default pipeline</h3>" + _table(
            ["error", "value", "of the default"], rows
        )
    return html


def _data(auto) -> str:
    data = auto._data
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
                    for name, text in describe_data(data))
    html = f"<dl>{items}</dl>"
    html += "".join(_warning(text) for text in auto.warnings_)
    e0 = auto.pipeline_[-1].e0_
    rows = [(symbol, atoms, structures, f"{energy:.6g}", source)
            for symbol, atoms, structures, energy, source in element_rows(data, e0)]
    return html + "<h3>Elements</h3>" + _table(
        ["element", "atoms", "structures", "energy of a single atom, eV", "from"], rows, text=(0, 4)
    )


def _tried(auto) -> str:
    records = [r for r in auto.leaderboard_ if "failure" not in r and "time_per_atom" in r]
    failures = [r for r in auto.leaderboard_ if "failure" in r]
    html = "".join(_warning(f"{r['candidate']}: {r['failure']}") for r in failures)
    if not records:
        return html
    quantities = [name[:-4] for name in records[0] if name.endswith("_mae")]
    html += _tried_table(records, quantities)
    error = "forces_mae" if "forces" in quantities else "energy_mae"
    pictures = [(plots.front(records, error), "Error and speed")]
    curve = plots.learning_curve(records, error)
    if curve is not None:
        pictures.append((curve, "Learning curves: error held back against structures learned"))
    return html + _figures(pictures)


def _tried_table(records, quantities) -> str:
    rows = []
    for record in records:
        errors = (_pair(record[f"{q}_mae"], record[f"{q}_rmse"]) for q in quantities)
        rows.append((
            record["candidate"], record["n_structures"], record["n_points"], *errors,
            _digits(1e6 * record["time_per_atom"]), f"{record['seconds']:.3g}",
        ))
    header = ["candidate", "structures", "points", *quantities, "us per atom", "seconds"]
    return (f"<p>Errors on what was held back, mean absolute / root mean square{_UNITS}; the best "
            "first.</p>" + _table(header, rows, text=(0,), long=(0,), chosen=0))


def _errors(parts) -> str:
    quantities = [q for q in ("energy", "forces", "virials") if q in parts[0].residuals]
    rows = [
        (part.name if label == "all" else f"\u2003{label}",
         *(_pair(*errors[q][1:]) if q in errors else "" for q in quantities))
        for part in parts
        for label, errors in error_rows(part)
    ]
    html = (f"<p>Mean absolute / root mean square errors{_UNITS}. Structures held back were "
            "predicted by a model that had not learned them.</p>")
    html += _table(["structures", *quantities], rows, text=(0,), long=(0,))
    return html + _figures([(plots.parity(parts, q), f"Parity: {q}") for q in quantities])


def _pair(mae: float, rmse: float) -> str:
    return f"{_digits(1e3 * mae)} / {_digits(1e3 * rmse)}"


def _digits(value: float) -> str:
    """Three digits, without an exponent where there are more before the point."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def _uncertainty(parts) -> str:
    known = [part for part in parts if part.std is not None]
    if not known:
        return ""
    rows = []
    for part in known:
        for quantity, z in (("energy", part.energies_z()), ("forces", part.forces_z)):
            if z is not None and z.size:
                rows.append((part.name, quantity, z.size, f"{np.sqrt(np.mean(z**2)):.3g}"))
    html = ("<p>z is the error over the predicted standard deviation; its root mean square is 1 "
            "where deviations are as large as errors.</p>")
    html += _table(["structures", "quantity", "values", "r.m.s. of z"], rows, text=(0, 1))
    return html + _figures([(plots.calibration(known), "Calibration")])


def _worst(parts) -> str:
    quantities = [q for q in ("energy", "forces") if q in parts[0].residuals]
    rows = [
        (name, index, formula, kind,
         *(_milli_or_empty(largest.get(q, np.nan)) for q in quantities))
        for name, index, formula, kind, largest in worst_rows(parts[1:] or parts)
    ]
    header = ["structures", "index", "formula", "config_type", *quantities]
    if not any(row[3] for row in rows):
        header.remove("config_type")
        rows = [(*row[:3], *row[4:]) for row in rows]
    return ("<p>The ten structures with the largest errors, relative to the root mean "
            f"square{_UNITS}; the largest component.</p>"
            + _table(header, rows, text=(0, 2, *range(3, len(header) - len(quantities))),
                     long=range(3, len(header) - len(quantities))))


def _dimers(auto) -> str:
    curves = dimer_curves(auto.pipeline_, auto._data.elements)
    return ("<p>Two atoms in free space. Data rarely have any, so this shows what the model makes "
            "up: it should rise steeply at short distances.</p>"
            + _figures([(plots.dimers(curves), "Energies of pairs")]))


def _repeat(auto, command) -> str:
    parameters = ", ".join(
        f"{name}={value!r}" for name, value in sorted(auto.get_params().items())
    )
    code = f"AutoPotential({parameters}).fit(frames)"
    html = f"<pre>{escape(command)}</pre>" if command else ""
    html += f"<pre>{escape(code)}</pre>"
    html += f"<p>The search took {auto.seconds_:.3g} s.</p>"
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in versions())
    html += f"<dl>{items}</dl><h3>The pipeline</h3><pre>{escape(repr(auto.pipeline_))}</pre>"
    return html


def _table(header, rows, text=(0,), long=(), chosen=None) -> str:
    """HTML table; everything in it is escaped."""

    def cell(tag, column, value):
        kinds = [name for name, columns in (("text", text), ("long", long)) if column in columns]
        attribute = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<{tag}{attribute}>{escape(str(value))}</{tag}>"

    head = "".join(cell("th", column, value) for column, value in enumerate(header))
    body = "".join(
        ('<tr class="chosen">' if number == chosen else "<tr>")
        + "".join(cell("td", column, value) for column, value in enumerate(row)) + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _figures(pictures) -> str:
    content = "".join(
        f"<figure>{plots.image(figure, escape(caption))}<figcaption>{escape(caption)}"
        "</figcaption></figure>"
        for figure, caption in pictures
    )
    return f'<div class="plots">{content}</div>'


def _warning(text: str) -> str:
    return f'<div class="warning">{escape(text)}</div>'


def _milli_or_empty(value: float) -> str:
    return _digits(1e3 * value) if np.isfinite(value) else ""


def _milli(name: str, value: float) -> str:
    return f"{_digits(1e3 * value)} {'meV/A' if name.startswith('forces') else 'meV/atom'}"
