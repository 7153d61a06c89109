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


_FULL = (28, 122)  # ENOSPC, EDQUOT


def main(argv: list[str] | None = None) -> int:
    """Run `belljar` with `argv` (without the program's name); the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    _open_standard_streams()
    if argv is None:
        gc.disable()  # a command's start makes no garbage worth a search; `run` turns it on again
    status = _act(arguments)
    if argv is None:
        _leave(status)
    return status


def _act(arguments: list[str]) -> int:
    command = arguments[0] if arguments else "--help"
    from belljar.errors import BelljarError

    try:
        if command in ("--version", "-V"):
            print(f"belljar {__version__}")
            return 0
        if command in ("--help", "-h", "help"):
            print(_usage())
            return 0 if arguments else 2
        if command not in COMMANDS:
            from belljar.report.text import printable

            _say(f"no command {printable(command)!r}; see belljar --help")
            return 2
        module = __import__(f"belljar.cli.{command}", fromlist=["main"])
        status: int = module.main(arguments[1:])
    except BelljarError as error:
        from belljar.report.text import printable

        _say(printable(str(error), 1000))
        status = error.exit_code
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 141
    except Exception as error:  # noqa: BLE001 (a defect of ours, and never a status 0 or 1)
        if isinstance(error, OSError):
            if not _flushed():
                return 125  # no defect: the disk behind standard output is full
            if error.errno in _FULL:  # or another; or nothing is buffered (python -u)
                from belljar.report.text import printable

                what = f"cannot write {error.filename or 'the answer'}: {error.strerror}"
                _say(printable(what, 1000))
                return 125
        import traceback

        _say("".join(traceback.format_exception(error)), before="")
        _say("this is a defect of belljar itself; please report it")
        status = 125
    return status


def _say(text: str, before: str = "belljar: ") -> None:
    try:
        print(f"{before}{text}", file=sys.stderr)
    except OSError:
        return  # there is nobody to be told


def _flushed() -> bool:
    """Whether standard output has taken all of it; where it cannot, one line says so. Raises
    `BrokenPipeError`."""
    try:
        if sys.stdout is not None:  # its descriptor was closed from the start
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that nothing of it is tried again
        _say(f"cannot write the answer: {error.strerror}")
        return False
    return True


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
    try:
        if not _flushed():
            status = status or 125
        if sys.stderr is not None:
            sys.stderr.flush()
    except BrokenPipeError:
        status = status or 141
    except OSError:
        status = status or 125  # there is nobody to be told
    os._exit(status)


def _usage() -> str:
    lines = [f"belljar {__version__}: see, verify and limit what Python code does", ""]
    lines += [f"  belljar {name:<8} {text}" for name, text in COMMANDS.items()]
    lines += ["", "belljar COMMAND --help tells the rest."]
    return "\n".join(lines)
