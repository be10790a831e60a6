"""Command line: fit, tune, use and evaluate potentials from files of structures.

A thin layer over the Python interface: ``_arguments`` defines the options, ``_commands`` lists the
commands, and ``_data`` reads and writes structures. Libraries are imported when a command runs. To
add a command, see ``_commands``.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import warnings
from contextlib import nullcontext
from datetime import datetime

from .. import __version__
from ._arguments import command_parsers, make_parser


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; by default those of the process.

    Returns
    -------
    int
        0 on success, 1 after an error, 130 after an interrupt. Invalid arguments end the process
        with exit code 2.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parse(argv)
        args.log_file = _open_log(args)
    except (OSError, ValueError) as error:  # errors in the options file or the log file
        print(f"skdesc: error: {error}", file=sys.stderr)
        return 1
    with args.log_file or nullcontext():
        return _run(args)


def _parse(argv):
    """Parse arguments, with defaults from the options file if one is given."""
    parser = make_parser()
    sub = command_parsers(parser).get(argv[0]) if argv else None
    if sub is not None:
        early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        early.add_argument("--config")
        path = early.parse_known_args(argv[1:])[0].config
        if path is not None:
            from ._config import read_config

            read_config(path, sub)
    args = parser.parse_args(argv)
    args.command_line, args.warnings = ["skdesc", *argv], []
    _check_names(args)
    if args.save_config is not None:
        from ._config import save_config

        save_config(args.save_config, args, command_parsers(make_parser())[args.command])
    return args


def _check_names(args):
    """Refuse to write a file that is also read, or to write a file twice."""
    from ..reading._paths import source_of

    taken = {
        os.path.realpath(source_of(name)): flag
        for flag, names in _named(args, {"FILES": "files", "MODEL": "model", "--valid": "valid",
                                         "--test": "test", "--config": "config"})
        for name in names
    }
    for flag, (name,) in _named(args, {
        "--output": "output", "--report": "report", "--plot": "plot", "--log": "log",
        "--save-config": "save_config", "--checkpoint": "checkpoint",
    }):
        path = os.path.realpath(name)
        if path in taken:
            raise ValueError(f"{flag} is {name!r}, which is also a file of {taken[path]} and would "
                             "be overwritten; give another name")
        taken[path] = flag


def _named(args, flags):
    """Return the given flags that take files, each with a list of file names."""
    for flag, argument in flags.items():
        names = getattr(args, argument, None)
        if names is not None:
            yield flag, [names] if isinstance(names, str) else names


def _open_log(args):
    """Open the log file, if requested, and write the command to it."""
    if args.log is None:
        return None
    file = open(args.log, "a", encoding="utf-8")  # noqa: SIM115, closed at the end
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    file.write(f"# {now}, skdesc {__version__}: {shlex.join(args.command_line)}\n")
    return file


def _run(args):
    """Run a command, and turn errors into messages."""

    def tell(text):
        print(text, file=sys.stderr)
        _console.write_log(args, text)

    from . import _console

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            from . import _commands, _messages

            def show(message, category, *where, **more):
                if not issubclass(category, (DeprecationWarning, PendingDeprecationWarning)):
                    args.warnings.append(_messages.in_flags(str(message), args))
                    tell(f"skdesc: warning: {args.warnings[-1]}")

            warnings.showwarning = show

            return _commands.COMMANDS[args.command](args)
    except KeyboardInterrupt:
        tell("skdesc: interrupted")
        return 130
    except BrokenPipeError:
        return 1
    except (ArithmeticError, ImportError, LookupError, MemoryError, OSError, TypeError,
            ValueError) as error:
        if args.debug:
            raise
        from . import _messages

        text = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        tell(f"skdesc {args.command}: error: {_messages.in_flags(text, args)}")
        return 1
