"""Plots of a report, as images inside the page."""

from __future__ import annotations

import base64
import io

import numpy as np

_BLUE, _ORANGE, _GREEN, _GRAY = "#2166ac", "#d6604d", "#1a9850", "#888888"
_COLORS = {"training": _GRAY, "held back": _BLUE, "validation": _GREEN, "test": _ORANGE}
_UNITS = {"energy": "eV/atom", "forces": "eV/A", "virials": "eV/atom"}
# more points would make the image larger but not clearer
_MOST_POINTS = 4000


def new_figure(width: float = 4.4, height: float = 3.5):
    """Create a figure and axes without global state.

    Parameters
    ----------
    width, height : float
        Size in inches.

    Returns
    -------
    figure, axes : matplotlib Figure, Axes
        The figure and its axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def image(figure, description: str) -> str:
    """Compose an HTML element with a figure.

    Parameters
    ----------
    figure : matplotlib Figure
        The figure.
    description : str
        Alternative text, already escaped.

    Returns
    -------
    str
        An ``img`` element with the embedded picture.
    """
    buffer = io.BytesIO()
    # no date, so that equal reports are equal files
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{description}" src="data:image/svg+xml;base64,{encoded}">'


def parity(parts, quantity: str):
    """Plot predicted against true values of a quantity.

    Parameters
    ----------
    parts : list of Part
        Sets to plot.
    quantity : {"energy", "forces", "virials"}
        The quantity.

    Returns
    -------
    figure : matplotlib Figure
        The plot.
    """
    figure, axes = new_figure()
    for part in parts:
        true, error = _values(part, quantity)
        if not true.size:
            continue
        some = slice(None, None, max(1, true.size // _MOST_POINTS))
        axes.scatter(true[some], (true + error)[some], s=7, alpha=0.5, linewidths=0,
                     color=_COLORS[part.name], label=part.name, rasterized=True)
    axes.axline((0, 0), slope=1, color="#444444", linewidth=0.8, zorder=0)
    _fit_limits(axes, parts, quantity)
    label = {"energy": "energy", "forces": "force component", "virials": "virial"}[quantity]
    axes.set(xlabel=f"true {label} ({_UNITS[quantity]})", ylabel="predicted")
    axes.legend(fontsize="small", frameon=False, markerscale=2)
    return figure


def _fit_limits(axes, parts, quantity):
    values = np.concatenate([np.concatenate(_true_and_predicted(p, quantity)) for p in parts])
    if values.size:
        low, high = values.min(), values.max()
        margin = 0.05 * (high - low) or 1.0
        axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))


def _true_and_predicted(part, quantity):
    true, error = _values(part, quantity)
    return true, true + error


def _values(part, quantity):
    """Return known true values and errors in the units of the plot."""
    data = part.data
    targets = {"energy": data.y, "forces": data.forces, "virials": data.virials}[quantity]
    if quantity not in part.residuals:
        return np.empty(0), np.empty(0)
    divisors = np.ones(len(data)) if quantity == "forces" else data.n_atoms
    true = [
        np.empty(0) if target is None else np.ravel(target) / divisor
        for target, divisor in zip(targets, divisors, strict=True)
    ]
    true = np.concatenate(true)
    return true[np.isfinite(true)], np.concatenate(part.residuals[quantity])


def front(records: list[dict], error: str):
    """Plot error against time per atom of all models.

    Parameters
    ----------
    records : list of dict
        The leaderboard.
    error : str
        Name of the error, such as "forces_mae".

    Returns
    -------
    figure : matplotlib Figure
        The plot.
    """
    figure, axes = new_figure()
    styles = [("default", _GRAY, "s"), ("tried", _BLUE, "o"), ("chosen", _ORANGE, "*")]
    for label, color, marker in styles:
        some = [r for r in records if _style(r) == label]
        axes.scatter([1e6 * r["time_per_atom"] for r in some], [1e3 * r[error] for r in some],
                     s=110 if marker == "*" else 28, color=color, marker=marker, label=label,
                     zorder=3 if marker == "*" else 2)
    axes.set(xlabel="time per atom (microseconds)", ylabel=_error_label(error))
    _use_plain_logarithms(axes)
    axes.legend(fontsize="small", frameon=False)
    return figure


def _use_plain_logarithms(axes):
    """Format logarithmic axes with few, plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _style(record):
    if record["chosen"]:
        return "chosen"
    return "default" if record["candidate"].startswith("default") else "tried"


def _error_label(error):
    quantity, mean = error.split("_")
    return f"{quantity} {mean.upper()} (m{_UNITS[quantity]})"


def learning_curve(records: list[dict], error: str):
    """Plot error against the number of training structures, for each kind of candidate.

    Parameters
    ----------
    records : list of dict
        The leaderboard.
    error : str
        Name of the error, such as "forces_mae".

    Returns
    -------
    figure : matplotlib Figure or None
        The plot; None if all candidates learned from the same number of structures.
    """
    curves: dict[str, dict[int, float]] = {}
    for record in records:
        curve = curves.setdefault(record["candidate"].split(":")[0], {})
        n = record["n_structures"]
        curve[n] = min(curve.get(n, np.inf), 1e3 * record[error])
    if len({n for curve in curves.values() for n in curve}) < 2:
        return None
    figure, axes = new_figure()
    for name, curve in curves.items():
        sizes = sorted(curve)
        axes.plot(sizes, [curve[n] for n in sizes], "o-", markersize=4, linewidth=1.2, label=name)
    axes.set(xlabel="structures learned", ylabel=_error_label(error))
    _use_plain_logarithms(axes)
    axes.legend(fontsize="x-small", frameon=False)
    return figure


def calibration(parts):
    """Plot the fraction of errors within intervals of standard deviations against its expectation.

    Parameters
    ----------
    parts : list of Part
        Sets with standard deviations.

    Returns
    -------
    figure : matplotlib Figure
        The plot.
    """
    from scipy.special import erf

    figure, axes = new_figure()
    widths = np.linspace(0.0, 3.0, 61)
    expected = erf(widths / np.sqrt(2.0))
    for part in parts:
        for z, style, label in (
            (part.energies_z(), "-", "energies"), (part.forces_z, "--", "forces"),
        ):
            if z is not None and z.size:
                within = [np.mean(np.abs(z) <= width) for width in widths]
                axes.plot(expected, within, style, color=_COLORS[part.name],
                          label=f"{label}, {part.name}")
    axes.plot([0, 1], [0, 1], color="#444444", linewidth=0.8, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="expected fraction within the interval",
             ylabel="observed fraction")
    axes.legend(fontsize="small", frameon=False)
    return figure


def dimers(curves: dict[str, tuple]):
    """Plot energies of pairs of atoms.

    Parameters
    ----------
    curves : dict of str to (distances, energies)
        Curve of each pair.

    Returns
    -------
    figure : matplotlib Figure
        The plot.
    """
    figure, axes = new_figure()
    for name, (distances, energies) in curves.items():
        axes.plot(distances, energies, linewidth=1.4, label=name)
    lowest = min(float(energies.min()) for _, energies in curves.values())
    axes.set(xlim=(0.4, 6.0), ylim=(1.3 * min(lowest, -0.5), 25.0), xlabel="distance (A)",
             ylabel="energy (eV)")
    axes.legend(fontsize="x-small", frameon=False, ncols=2)
    return figure
