"""Warnings and errors that callers may want to catch by name."""


class UntrustworthyFitError(ValueError):
    """The linear algebra of a fit has failed; there is no model to trust."""


class UntrustworthyFitWarning(UserWarning):
    """A model was fitted, but rounding errors may be visible in what it predicts."""


class SuspiciousTargetsWarning(UserWarning):
    """Targets, or their noise, may not be what they were meant to be: of another sign or unit."""
