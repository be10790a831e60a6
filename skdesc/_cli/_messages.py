"""Errors and warnings that name flags and files in place of Python arguments."""

from __future__ import annotations

import re
from argparse import Namespace

from ._arguments import MODEL_OPTIONS

_FLAGS = {option.parameter: option.flag for option in MODEL_OPTIONS} | {
    "species": "--species",
    "e0": "--e0",
    "baseline": "--zbl",
    "optimize": "--optimize",
    "n_jobs": "--jobs",
    "random_state": "--seed",
    "n_particles": "--n-particles",
    "n_iterations": "--n-iterations",
    "max_time": "--max-time",
    "checkpoint": "--checkpoint",
    "stage_one_objective": "--objective",
    "energy_key": "--energy-key",
    "forces_key": "--forces-key",
    "stress_key": "--stress-key",
    "virial_key": "--virial-key",
    "elements": "--types",
    "compression": "--compression",
}
# Python arguments that correspond to flags without a value
_SWITCHES = {
    "forces=False": "--no-forces",
    "virials=False": "--no-virials",
    "energies='auto'": "--optional-energies",
    "energies=False": "--optional-energies",
}
_STEP = re.compile(r"\b(?:(?:descriptors__)?soap|tensor_reduced|gap)__(?=\w)")
_FRAME = re.compile(r"\b(?:frames|X|forces|virials|y)\[(\d+)\]")


def in_flags(text: str, args: Namespace) -> str:
    """Name flags where a message names Python arguments, and files where it names structures.

    Parameters
    ----------
    text : str
        The message.
    args : argparse.Namespace
        Arguments of the command, whose flags the user can change.

    Returns
    -------
    str
        The same message for the screen.
    """
    for argument, flag in _SWITCHES.items():
        if hasattr(args, flag[2:].replace("-", "_")):
            text = text.replace(argument, flag)
    text = _STEP.sub("", text)
    for name, flag in _FLAGS.items():
        if hasattr(args, flag[2:].replace("-", "_")):
            text = _replace_argument(text, name, flag)
    return _FRAME.sub(lambda match: _name_structure(match, args), text)


def _replace_argument(text: str, name: str, flag: str) -> str:
    """Replace an argument by its flag; plain English words are replaced only in argument form."""
    before = r"(?<![\w.'\"\[-])"
    text = re.sub(rf"{before}{name}=(['\"]?)([\w.+-]+)\1", rf"{flag} \2", text)
    text = re.sub(rf"{before}{name}=(?!=)", flag, text)
    if "_" not in name:
        return re.sub(rf"{before}{name}(?= is | must | has )", flag, text)
    # keep the Python name as well, under which the documentation has the parameter
    shown = flag if name.endswith("_key") else f"{flag} ({name})"
    text = re.sub(rf"{before}{name}\b", shown, text, count=1)
    return re.sub(rf"(?<![\w.'\"\[(-]){name}\b", flag, text)


def _name_structure(match: re.Match, args: Namespace) -> str:
    index = int(match[1])
    for path, count in getattr(args, "origins", ()):
        if index < count:
            return f"structure {index} of {path}"
        index -= count
    return match[0]
