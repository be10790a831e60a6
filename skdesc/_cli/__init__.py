"""Command line: fit, tune, use and evaluate potentials from files of structures.

Thin over the Python interface; ``_arguments`` says what can be asked for, ``_commands`` does it,
``_data`` reads and writes structures. Libraries are imported when a command runs. To add a
command, see ``_commands``.
"""

from __future__ import annotations

import sys
import warnings

from ._arguments import make_parser


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; those of the process by default.

    Returns
    -------
    int
        0 if all went well, 1 after an error, 130 after an interrupt. Arguments that are not
        understood end the process with 2.
    """
    args = make_parser().parse_args(argv)
    args.command_line = ["skdesc", *(sys.argv[1:] if argv is None else argv)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            from . import _commands, _messages

            def show(message, category, *where, **more):
                if not issubclass(category, (DeprecationWarning, PendingDeprecationWarning)):
                    text = _messages.in_flags(str(message), args)
                    print(f"skdesc: warning: {text}", file=sys.stderr)

            warnings.showwarning = show

            return _commands.COMMANDS[args.command](args)
    except KeyboardInterrupt:
        print("skdesc: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except (ArithmeticError, LookupError, MemoryError, OSError, TypeError, ValueError) as error:
        if args.debug:
            raise
        from . import _messages

        text = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        text = _messages.in_flags(text, args)
        print(f"skdesc {args.command}: error: {text}", file=sys.stderr)
        return 1
