"""The command line: one file per command; parse, call, print, exit code. It decides nothing.

`docs/exit-codes.md` is the table of exit statuses.
"""

from __future__ import annotations

import gc
import os
import sys

from belljar import __version__

COMMANDS = {
    "run": "run a program under a policy, and record what it does",
    "watch": "restrict nothing, record everything",
    "apply": "what guests changed beneath an --overlay: show, merge, drop",
    "learn": "from a program or its record to the smallest policy",
    "why": "one denial or alert, explained to the end",
    "log": "the record: verify, show, query, export, collect, hand on",
    "policy": "check and explain a policy file",
    "events": "the catalogue of audit events",
    "doctor": "what this machine can enforce, probed",
}


def main(argv: list[str] | None = None) -> int:
    """Run `belljar` with `argv` (without the program's name); the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    _open_standard_streams()
    if argv is None:
        gc.disable()  # a command's start makes no garbage worth a search; `run` turns it on again
    command = arguments[0] if arguments else "--help"
    if command in ("--version", "-V"):
        print(f"belljar {__version__}")
        return 0
    if command in ("--help", "-h", "help"):
        print(_usage())
        return 0 if arguments else 2
    if command not in COMMANDS:
        from belljar.report.text import printable

        print(f"belljar: no command {printable(command)!r}; see belljar --help", file=sys.stderr)
        return 2
    module = __import__(f"belljar.cli.{command}", fromlist=["main"])
    from belljar.errors import BelljarError

    try:
        status: int = module.main(arguments[1:])
    except BelljarError as error:
        from belljar.report.text import printable

        print(f"belljar: {printable(str(error), 1000)}", file=sys.stderr)
        status = error.exit_code
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 141
    except Exception:  # noqa: BLE001 (a defect of ours: told as such, and never a status 0 or 1)
        import traceback

        traceback.print_exc()
        print("belljar: this is a defect of belljar itself; please report it", file=sys.stderr)
        status = 125
    if argv is None:
        _leave(status)
    return status


def _open_standard_streams() -> None:
    """Descriptors 0 to 2 must not become something else: a pipe of ours with such a number would
    be taken for the guest's stream."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, so this one


def _leave(status: int) -> None:
    """End without the interpreter's own farewell: every millisecond of it is start-up, too."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # its descriptor was closed from the start
                stream.flush()
        except BrokenPipeError:
            status = status or 141
    os._exit(status)


def _usage() -> str:
    lines = [f"belljar {__version__}: see, verify and limit what Python code does", ""]
    lines += [f"  belljar {name:<8} {text}" for name, text in COMMANDS.items()]
    lines += ["", "belljar COMMAND --help tells the rest."]
    return "\n".join(lines)
