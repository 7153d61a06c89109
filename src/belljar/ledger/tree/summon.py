"""Calling the ledger's clerk (`ledger.tree.clerk`) when there is none. Costs a starter little.

The clerk is told nothing but the directory. It gets neither a terminal nor a pipe of its starter
(input and output are the null device), a session of its own and few environment variables; the
process started here only leaves it behind, so nobody's `wait` is disturbed for long.
"""

from __future__ import annotations

import fcntl
import os
import sys

from belljar.ledger.folders import enter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

LOCK: Final = "clerk.lock"
#: `none` in this variable: nobody calls a clerk; `belljar log checkpoint` still signs.
SETTING: Final = "BELLJAR_CLERK"
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
#: What a clerk needs to find libraries, state and certificates, and what sinks are set up with.
_KEPT: Final = frozenset(
    (
        "HOME", "XDG_STATE_HOME", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY",
    )
)  # fmt: skip
_KEPT_PREFIXES: Final = ("OTEL_", "BELLJAR_")
#: It forks before anything is imported: what the starter has to wait for ends after some 10 ms,
#: so that a writer's `close` reaps it. What goes on leads no session, and no file that it opens
#: becomes its terminal.
_CODE: Final = (
    "import os, sys; os.setsid(); os.fork() and os._exit(0); sys.path.insert(0, sys.argv[1]); "
    "from belljar.ledger.tree.clerk import main; sys.exit(main(sys.argv[2]))"
)


def summon(directory: str) -> int:
    """See to it that the ledger in `directory` has a clerk; the process started for that, or 0.

    That process ends within milliseconds, and its parent should `waitpid` for it sometime. Two
    callers at once may both start one: the clerk that does not get the lock ends.
    Raises `OSError` when none can be started.

    >>> summon("/tmp/example")  # doctest: +SKIP
    4711
    """
    if os.environ.get(SETTING) == "none" or not sys.executable or taken(directory):
        return 0
    root = os.path.abspath(__file__)
    for _ in __name__.split("."):
        root = os.path.dirname(root)
    # Neither the starter's directory nor its PYTHON* variables decide what the clerk imports.
    argv = [sys.executable, "-P", "-E", "-c", _CODE, root, os.path.abspath(directory)]
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    null = os.devnull
    quiet = [(os.POSIX_SPAWN_OPEN, fd, null, os.O_RDWR, 0) for fd in (0, 1, 2)]
    return os.posix_spawn(sys.executable, argv, kept, file_actions=quiet)


def taken(directory: str) -> bool:
    """Whether a clerk holds the lock of the ledger in `directory`. Raises `OSError`."""
    folder = enter(directory)
    try:
        fd = os.open(LOCK, _FLAGS, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
