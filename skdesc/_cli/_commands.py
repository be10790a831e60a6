"""The commands by name.

A command ``NAME`` has a module ``_NAME`` with a function ``NAME(args)`` that returns the exit code,
an entry below, and its options in ``_arguments``. Options that several commands share are groups
there (`add_keys`, `add_training`).
"""

from ._auto import auto
from ._convert import convert
from ._evaluate import evaluate
from ._fit import fit
from ._predict import predict
from ._tune import tune

COMMANDS = {
    "auto": auto,
    "fit": fit,
    "tune": tune,
    "predict": predict,
    "evaluate": evaluate,
    "convert": convert,
}
