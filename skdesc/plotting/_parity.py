"""Predicted against true values."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from ..utils.typing import PerStructure
from ._panels import panels


class ParityDisplay:
    """Predicted against true values, with the errors in the legend.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_values,)
        What is drawn: energies per atom, or all components of all forces.
    quantity : {"energy", "forces"}
        What the values are.

    Attributes
    ----------
    rmse, mae : float
        Errors, in the unit of the values.
    ax_ : matplotlib Axes
        Axes of the last plot.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skdesc.plotting import ParityDisplay
    >>> display = ParityDisplay.from_predictions([-2.0, -6.0], [-2.2, -6.0], n_atoms=[1, 2])
    >>> display.ax_.get_legend().get_texts()[0].get_text()
    'RMSE 141 meV/atom, MAE 100 meV/atom'
    """

    _labels = {"energy": ("energy", "eV/atom"), "forces": ("force", "eV/Å")}

    def __init__(self, y_true: np.ndarray, y_pred: np.ndarray, quantity: str) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.quantity = quantity

    @property
    def rmse(self) -> float:
        """Root mean square error."""
        return float(np.sqrt(np.mean((self.y_pred - self.y_true) ** 2)))

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return float(np.mean(np.abs(self.y_pred - self.y_true)))

    @classmethod
    def from_predictions(
        cls,
        y_true: PerStructure,
        y_pred: PerStructure,
        *,
        n_atoms: PerStructure | None = None,
        quantity: Literal["energy", "forces"] = "energy",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot predictions.

        Parameters
        ----------
        y_true, y_pred : array-like, or list of arrays of shape (n_atoms, 3)
            Energies in eV, one per structure, or forces in eV/angstrom, one block each.
        n_atoms : array-like of int, default=None
            Atoms of each structure: energies are divided by it. None if they are per atom
            already.
        quantity : {"energy", "forces"}, default="energy"
            What the values are.
        name : str, default=None
            Goes before the errors in the legend.
        ax : matplotlib Axes, default=None
            Where to draw; on the same axes again, displays share the diagonal.
        **kwargs : object
            For :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        ParityDisplay
            The display.
        """
        if quantity not in cls._labels:
            raise ValueError(f"quantity is {quantity!r}, but must be one of {tuple(cls._labels)}")
        y_true, y_pred = (_flat(values, quantity) for values in (y_true, y_pred))
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"y_true has {y_true.size} values and y_pred {y_pred.size}, but they must match"
            )
        if n_atoms is not None:
            n_atoms = np.asarray(n_atoms)
            if quantity != "energy" or n_atoms.shape != y_true.shape:
                raise ValueError(
                    f"n_atoms has shape {n_atoms.shape}, but must have one entry per energy, and "
                    "none for forces"
                )
            y_true, y_pred = y_true / n_atoms, y_pred / n_atoms
        return cls(y_true, y_pred, quantity).plot(ax=ax, name=name, **kwargs)

    def plot(self, *, ax: Any = None, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the values and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw.
        name : str, default=None
            Goes before the errors in the legend.
        **kwargs : object
            For :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        ParityDisplay
            The display itself.
        """
        self.ax_ = panels(ax, 1)[0]
        self.figure_ = self.ax_.figure
        what, unit = self._labels[self.quantity]
        errors = f"RMSE {_in_words(self.rmse, unit)}, MAE {_in_words(self.mae, unit)}"
        label = errors if name is None else f"{name}: {errors}"
        self.ax_.scatter(
            self.y_true, self.y_pred, **{"s": 8, "alpha": 0.6, "label": label, **kwargs}
        )
        values = np.concatenate([self.y_true, self.y_pred])
        margin = 0.05 * (np.ptp(values) or 1.0)
        low, high = values.min() - margin, values.max() + margin
        if any(line.get_gid() == "diagonal" for line in self.ax_.lines):
            low, high = min(low, self.ax_.get_xlim()[0]), max(high, self.ax_.get_xlim()[1])
        else:
            self.ax_.axline((0, 0), slope=1, color="0.6", lw=1, zorder=0, gid="diagonal")
        # the line is infinite; the values decide on the limits
        self.ax_.set(
            xlim=(low, high), ylim=(low, high), aspect="equal",
            xlabel=f"true {what} ({unit})", ylabel=f"predicted {what} ({unit})",
        )
        # few enough numbers that none touches the next, at any size
        self.ax_.locator_params(nbins=5)
        # above the axes, where no points are
        self.ax_.legend(
            loc="lower center", bbox_to_anchor=(0.45, 1.0), frameon=False, borderaxespad=0.2,
            handlelength=0.8, handletextpad=0.2, fontsize="small",
        )
        return self


def _in_words(error, unit):
    return f"{error:.3g} {unit}" if error >= 1 else f"{1e3 * error:.3g} m{unit}"


def _flat(values, quantity):
    if quantity == "forces":
        return np.concatenate([np.ravel(block) for block in values]).astype(float)
    return np.ravel(np.asarray(values, dtype=float))
