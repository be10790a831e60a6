"""Sections of reports on fitted potentials."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from sklearn.pipeline import Pipeline

from . import _report_plots as plots
from ._data import LabeledStructures
from ._report_data import (
    Part,
    describe_data,
    dimer_curves,
    element_rows,
    error_rows,
    versions,
    worst_rows,
)
from ._report_html import digits, figures, milli_or_empty, pair, table, terms, warning

UNITS = ", in meV per atom, of forces in meV/A"


def error_cards(part: Part) -> list[tuple[str, str]]:
    """Mean absolute errors of each quantity, with labels."""
    values = []
    for quantity, blocks in part.residuals.items():
        errors = np.concatenate([np.empty(0), *blocks])
        if errors.size:
            unit = "meV/A" if quantity == "forces" else "meV/atom"
            values.append((digits(1e3 * np.mean(np.abs(errors))),
                           f"{quantity} MAE, {unit}, {part.name}"))
    return values


def data_section(data: LabeledStructures, texts: Sequence[str], e0: dict[str, float]) -> str:
    """Counts and ranges of the data, warnings about them, and the elements."""
    rows = [(symbol, atoms, structures, f"{energy:.6g}", source)
            for symbol, atoms, structures, energy, source in element_rows(data, e0)]
    return (
        terms(describe_data(data)) + "".join(warning(text) for text in texts)
        + "<h3>Elements</h3>" + table(
            ["element", "atoms", "structures", "energy of a single atom, eV", "from"], rows,
            text=(0, 4)
        )
    )


def error_section(parts: Sequence[Part], remark: str = "") -> str:
    """Errors by config_type and element, and parity plots."""
    quantities = [q for q in ("energy", "forces", "virials") if q in parts[0].residuals]
    rows = [
        (part.name if label == "all" else f"\u2003{label}",
         *(pair(*errors[q][1:]) if q in errors else "" for q in quantities))
        for part in parts
        for label, errors in error_rows(part)
    ]
    html = (f"<p>Mean absolute / root mean square errors{UNITS}.{remark}</p>")
    html += table(["structures", *quantities], rows, text=(0,), long=(0,))
    return html + figures([(plots.parity(parts, q), f"Parity: {q}") for q in quantities])


def uncertainty_section(parts: Sequence[Part]) -> str:
    """Errors in units of their predicted standard deviations."""
    known = [part for part in parts if part.std is not None]
    if not known:
        return ""
    rows = []
    for part in known:
        for quantity, z in (("energy", part.energies_z()), ("forces", part.forces_z)):
            if z is not None and z.size:
                rows.append((part.name, quantity, z.size, f"{np.sqrt(np.mean(z**2)):.3g}"))
    html = ("<p>z is the error divided by the predicted standard deviation; its root mean square "
            "is 1 if deviations are as large as errors.</p>")
    html += table(["structures", "quantity", "values", "r.m.s. of z"], rows, text=(0, 1))
    return html + figures([(plots.calibration(known), "Calibration")])


def worst_section(parts: Sequence[Part]) -> str:
    """The structures with the largest errors."""
    quantities = [q for q in ("energy", "forces") if q in parts[0].residuals]
    rows = [
        (name, index, formula, kind,
         *(milli_or_empty(largest.get(q, np.nan)) for q in quantities))
        for name, index, formula, kind, largest in worst_rows(parts)
    ]
    header = ["structures", "index", "formula", "config_type", *quantities]
    if not any(row[3] for row in rows):
        header.remove("config_type")
        rows = [(*row[:3], *row[4:]) for row in rows]
    return ("<p>The ten structures with the largest errors, relative to the root mean "
            f"square{UNITS}; largest components.</p>"
            + table(header, rows, text=(0, 2, *range(3, len(header) - len(quantities))),
                     long=range(3, len(header) - len(quantities))))


def pairs_section(pipeline: Pipeline, elements: list[str]) -> str:
    """Energies of two atoms against their distance."""
    curves = dimer_curves(pipeline, elements)
    return ("<p>Two atoms in free space. Data rarely contain them, so this shows how the model "
            "extrapolates: energies should rise steeply at short distances.</p>"
            + figures([(plots.dimers(curves), "Energies of pairs")]))


def repeat_section(command: str | None, code: str, remark: str, pipeline: Pipeline) -> str:
    """The command or code that produced the potential, versions, and the pipeline."""
    html = "".join(f"<pre>{escape(text)}</pre>" for text in (command, code) if text)
    html += f"<p>{escape(remark)}</p>" if remark else ""
    return html + terms(versions()) + f"<h3>The pipeline</h3><pre>{escape(repr(pipeline))}</pre>"
