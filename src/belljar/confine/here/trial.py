"""The trial: a copy of this process confines itself the same way and tries what is forbidden.

The receipt of `belljar.confine()` says what came of it, not what the calls returned.
"""

from __future__ import annotations

import os

from belljar.confine.here import plan as here_plan
from belljar.errors import Unenforceable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.confine.here.plan import Plan
    from belljar.confine.probe import Facts

_DEADLINE: Final = 30.0


def try_out(plan: Plan) -> Facts:
    """What the copy could do, before and after. Raises `Unenforceable` where it cannot begin."""
    from belljar._native import landlock_abi
    from belljar.confine.probe import Canary, Facts

    with Canary(_away(plan)) as canary:
        words = here_plan.tried(plan, canary.path, canary.port)
        lines = _lines(words, light=True)
        if lines[-1:] != [["done"]] or ["inside", "clock", "1"] not in lines:
            lines = _lines(words, light=False)
    if lines[-1:] != [["done"]]:
        raise _refused(next((line for line in lines if line[0] == "error"), None))
    sides: dict[str, dict[str, int]] = {"outside": {}, "inside": {}}
    for line in lines[:-1]:
        sides[line[0]][line[1]] = int(line[2])
    clock = sides["inside"].pop("clock", 0)
    tried = {name: (sides["outside"][name], sides["inside"][name]) for name in sides["inside"]}
    return Facts("landlock", landlock_abi(), tried, (), 0 if clock else -1)


def _lines(words: bytes, light: bool) -> list[list[str]]:
    """What the copy reported, within the deadline."""
    import select
    import signal
    import time

    from belljar._native import confine_try

    report, given = os.pipe()
    try:
        pid = confine_try(words, given, light)
    except OSError as error:
        os.close(report)
        raise cannot(error) from None
    finally:
        os.close(given)
    text = b""
    deadline = time.monotonic() + _DEADLINE
    poll = select.poll()
    poll.register(report, select.POLLIN)
    try:
        while poll.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            chunk = os.read(report, 65536)
            if not chunk:
                break
            text += chunk
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(report)
        _reap(pid)
    return [line.split(" ", 3) for line in text.decode("utf-8", "replace").splitlines()]


def _away(plan: Plan) -> str:
    """A directory for the trial's prey that no grant covers."""
    from belljar.confine.sensitive import beneath

    for folder in (os.environ.get("TMPDIR", "/tmp"), "/tmp", "/var/tmp", "/dev/shm"):
        real = os.path.realpath(folder)
        covered = any(beneath(real, path) for path in plan.view.land)
        if not covered and os.access(real, os.W_OK | os.X_OK):
            return real
    raise Unenforceable(
        "files", "every directory for temporary files is granted, so nothing is left to try it on",
        "grant less, or set TMPDIR to a directory that no grant covers",
    )  # fmt: skip


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # somebody's handler of SIGCHLD was faster


def cannot(error: OSError) -> Unenforceable:
    """The error for what failed while nothing had been changed."""
    step, detail = (*error.args[2:4], "", "")[:2]
    return Unenforceable(
        "files", f"{step or 'fork'}: {error.strerror}{f' ({detail})' if detail else ''}",
        "see `belljar doctor`",
    )  # fmt: skip


def _refused(line: list[str] | None) -> Unenforceable:
    why = "the trial ended early"
    if line is not None:
        why = f"{line[1]}: {os.strerror(int(line[2]))} {''.join(line[3:])}".rstrip()
    return Unenforceable("syscalls", f"a copy of this process could not be confined ({why})",
                         "see `belljar doctor`")  # fmt: skip
