"""Which program a watched command means."""

from __future__ import annotations

import os
import sys

from belljar.errors import ProgramNotExecutable, ProgramNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def python(chosen: str | None, environ: Mapping[str, str]) -> str:
    """The interpreter for SCRIPT, -c and -m: the chosen one, else that of the active virtual
    environment, of `./.venv`, or ours. Raises `ProgramNotFound`, `ProgramNotExecutable`.
    """
    if chosen:
        inside = os.path.join(chosen, "bin", "python")  # a virtual environment was named
        if os.path.isdir(chosen) and os.access(inside, os.X_OK):
            return os.path.abspath(inside)
        return program(chosen, environ)
    for root in (environ.get("VIRTUAL_ENV"), os.path.abspath(".venv")):
        if root:
            path = os.path.join(root, "bin", "python")
            if os.access(path, os.X_OK):
                return path
    return sys.executable


def program(name: str, environ: Mapping[str, str]) -> str:
    """The path of the program that a shell would run for `name`.

    Raises `ProgramNotFound` (127) or `ProgramNotExecutable` (126).

    >>> program("sh", {"PATH": "/bin"})
    '/bin/sh'
    """
    places = [""]
    if "/" not in name:
        places = [part or "." for part in environ.get("PATH", os.defpath).split(":")]
    exists = False
    for place in places:
        path = os.path.join(place, name)
        if os.path.isfile(path):
            exists = True
            if os.access(path, os.X_OK):
                return path
        elif not place and os.path.isdir(path):
            raise ProgramNotExecutable(f"cannot run {name}: it is a directory")
    if exists:
        raise ProgramNotExecutable(f"cannot run {name}: it may not be executed")
    raise ProgramNotFound(f"cannot run {name}: there is no such program")
