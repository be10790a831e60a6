"""Warnings and errors that callers may want to catch by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms


class UntrustworthyFitError(ValueError):
    """The linear algebra of a fit has failed; there is no model to trust."""


class UntrustworthyFitWarning(UserWarning):
    """A model was fitted, but rounding errors may be visible in what it predicts."""


class SuspiciousTargetsWarning(UserWarning):
    """Targets, or their noise, may not be what they were meant to be: of another sign or unit."""


class UncertainStructureError(RuntimeError):
    """A simulation has reached a structure that its potential does not know well enough.

    Parameters
    ----------
    message : str
        What happened.
    atoms : ase.Atoms
        The structure.
    """

    def __init__(self, message: str, atoms: Atoms) -> None:
        super().__init__(message)
        self.atoms = atoms

    def __reduce__(self):
        return type(self), (*self.args, self.atoms)


class TimeBudgetWarning(UserWarning):
    """The time was too short for a complete search."""
