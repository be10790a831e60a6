"""Options files: ``--config`` reads them, ``--save-config`` writes them."""

from __future__ import annotations

import json
import tomllib
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from .. import __version__
from ..utils.files import replace_file

# options that belong to a single run
_NEVER = {"help", "command", "config", "save_config", "debug", "quiet"}


def read_config(path: str, parser: ArgumentParser) -> None:
    """Use the entries of a file as the defaults of a command.

    Parameters
    ----------
    path : str
        A TOML file; its keys are the names of options, such as ``n-sparse``, and ``files``.
    parser : ArgumentParser
        Parser of the command, which is modified: arguments that the file has become optional.
    """
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"--config is {path!r}, but must be a TOML file ({error})") from error
    actions = _options(parser)
    for key, value in entries.items():
        action = actions.get(key.replace("-", "_"))
        if action is None:
            known = ", ".join(name.replace("_", "-") for name in actions)
            raise ValueError(f"{path} has {key!r}, which is no option of {parser.prog}; there are "
                             f"{known}")
        action.default = _convert(value, action, f"{key} in {path}")
        action.required = False
        if not action.option_strings and action.nargs == "+":
            action.nargs = "*"


def _options(parser: ArgumentParser) -> dict[str, Any]:
    """Return the actions of a parser by name."""
    return {action.dest: action for action in parser._actions if action.dest not in _NEVER}


def _convert(value: Any, action: Any, where: str) -> Any:
    kind = type(action).__name__
    is_list = action.nargs in ("+", "*") or kind == "_AppendAction"
    if kind == "_StoreTrueAction":
        if not isinstance(value, bool):
            raise ValueError(f"{where} is {value!r}, but must be true or false")
        return value
    if is_list:
        if not isinstance(value, list) or not value:
            raise ValueError(f"{where} is {value!r}, but must be a list such as ['a', 'b']")
        return [str(entry) for entry in value]
    return _convert_one(value, action, where)


def _convert_one(value: Any, action: Any, where: str) -> Any:
    if isinstance(value, (bool, list, dict)):
        raise ValueError(f"{where} is {value!r}, but must be one number or text")
    if value == action.default:
        return value
    kind = action.type or str
    try:
        result = kind(str(value))
    except ValueError:
        raise ValueError(f"{where} is {value!r}, but must be of type {kind.__name__}") from None
    if action.choices and result not in action.choices:
        raise ValueError(f"{where} is {value!r}, but must be one of {', '.join(action.choices)}")
    return result


def save_config(path: str, args: Namespace, parser: ArgumentParser) -> None:
    """Write all options that differ from their defaults.

    Parameters
    ----------
    path : str
        The file, which ``--config`` reads.
    args : argparse.Namespace
        Arguments of this run.
    parser : ArgumentParser
        Unmodified parser of the command.
    """
    lines = [f"# skdesc {__version__}: skdesc {args.command} --config {Path(path).name}"]
    for name, action in _options(parser).items():
        value = getattr(args, name)
        if value is not None and value != action.default:
            # numbers, text and lists look the same in JSON and TOML
            lines.append(f"{name.replace('_', '-')} = {json.dumps(value, ensure_ascii=False)}")
    with replace_file(path, "--save-config") as file:
        file.write(("\n".join(lines) + "\n").encode())
