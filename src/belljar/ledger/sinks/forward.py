"""The process that feeds the sinks: threads for each sink, apart from recorder and clerk.

The clerk holds keys and must not wait; resolvers, TLS and receivers make others wait and parse what
strangers send. So the clerk only starts this process and closes its standard input at the end; the
process then goes on until every sink has everything, a minute at most.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from belljar.errors import LedgerError
from belljar.ledger.sinks import store
from belljar.ledger.sinks.folder import Folder
from belljar.ledger.way import reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event, Thread
    from typing import Final

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.feed import Feed

_LOOK: Final = 1.0  # seconds between looks at the registered sinks
_AGAIN: Final = (1.0, 60.0)  # seconds until a forwarder that ended is started again
LINGER: Final = 60.0
_JOIN: Final = 0.5
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "XDG_STATE_HOME", "TZ")  # fmt: skip
_CODE: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from belljar.ledger.sinks.__main__ import leave; leave(sys.argv[1:])"
)


class Forwarder:
    """Keeps the sinks of the ledger in `directory` fed; for the clerk, which calls `step`.

    >>> forwarder = Forwarder("/nowhere")
    >>> forwarder.step()
    1.0
    >>> forwarder.close()
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._child: subprocess.Popen[bytes] | None = None
        self._pause, self._next, self._began = _AGAIN[0], 0.0, 0.0

    @property
    def pid(self) -> int:
        """The process that forwards, or 0."""
        return self._child.pid if self._child is not None else 0

    def step(self) -> float:
        """Start the process where there are sinks and none runs; seconds until the next step.
        Never waits. Raises `LedgerError` where the sinks are not ours to feed (told once a minute),
        or no process can be had."""
        now = time.monotonic()
        if self._child is not None:
            if self._child.poll() is None:
                return _LOOK
            self._let_go(self._child)
            self._child = None
            # One that worked for a while and was killed is started again at once.
            long = now - self._began > _AGAIN[1]
            self._pause = _AGAIN[0] if long else min(_AGAIN[1], self._pause * 2)
            self._next = now + self._pause
        if now < self._next:
            return max(0.05, self._next - now)
        try:
            if store.names(self._directory, ours=True):
                self._child = _spawn(["--clerk", self._directory], stdin=subprocess.PIPE)
                self._began = now
        except OSError as error:
            self._next = now + _AGAIN[1]
            raise LedgerError(f"cannot start what feeds the sinks: {error.strerror}") from error
        except LedgerError:
            self._next = now + _AGAIN[1]
            raise
        return _LOOK

    def close(self) -> None:
        """Let the process finish on its own; does not wait for it."""
        child, self._child = self._child, None
        if child is not None:
            self._let_go(child)
            child.returncode = child.poll() or 0  # it outlives us: nobody has to wait for it

    @staticmethod
    def _let_go(child: subprocess.Popen[bytes]) -> None:
        if child.stdin is not None:
            child.stdin.close()


def follow(directory: str, sink: Sink) -> subprocess.Popen[bytes]:
    """A process of its own for a sink that writes to a descriptor of the caller; it ends when the
    run's END was written."""
    try:
        if not os.get_inheritable(sink.descriptor):  # one that was opened by ourselves
            raise OSError(9, "it was not given to us")
        return _spawn(["--one", sink.id, directory], passed=(sink.descriptor,))
    except OSError as error:
        store.remove(directory, sink.id)
        what = f"cannot write to descriptor {sink.descriptor}"
        raise LedgerError(f"{what}: {error.strerror}") from error


def _spawn(
    words: Sequence[str], stdin: int = subprocess.DEVNULL, passed: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    root = os.path.abspath(__file__)
    for _ in __name__.split("."):
        root = os.path.dirname(root)
    # Neither the starter's directory nor its PYTHON* variables decide what is imported there.
    return subprocess.Popen(
        [sys.executable, "-P", "-E", "-c", _CODE, root, *words],
        stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        env=environment, pass_fds=passed, start_new_session=True,
    )  # fmt: skip


class Feeds:
    """All sinks of one ledger, each in a thread of its own. One process at a time has them: the
    constructor raises `BlockingIOError` where another one has, `LedgerError` where the sinks are
    not this user's.
    """

    def __init__(self, directory: str, only: Sequence[str] = ()) -> None:
        self._directory, self._only = reach(directory), only
        self._ledger = store.ledger_id(self._directory)
        with Folder(self._directory, ours=True) as folder:
            self._lock = folder.lock(f"{only[0]}.lock" if only else "lock")
            folder.sweep()
        self._stopping: dict[str, Thread] = {}
        self._feeds: dict[str, tuple[Feed, Event, Thread]] = {}

    def look(self) -> None:
        """Start feeds for sinks that are new, stop those of sinks that were removed."""
        from threading import Event, Thread

        from belljar.ledger.sinks.feed import Feed

        wanted = {}
        for name in store.names(self._directory, ours=True):
            try:
                known = store.load(self._directory, name, ours=True)
            except LedgerError:
                continue  # not for us to obey; `belljar log sinks` says why
            here = name in self._only if self._only else known and known.sink.descriptor < 0
            if known is not None and here:
                wanted[name] = known
        for name, (feed, stop, thread) in list(self._feeds.items()):
            if name not in wanted or wanted[name] != feed.registered:
                stop.set()
                self._stopping[name] = thread
                del self._feeds[name]
        for name, thread in list(self._stopping.items()):
            if not thread.is_alive():
                del self._stopping[name]
        for name, known in wanted.items():
            if name not in self._feeds and name not in self._stopping:
                stop = Event()
                feed = Feed(self._directory, known, self._ledger, stop)
                thread = Thread(target=feed.run, name=name, daemon=True)
                self._feeds[name] = feed, stop, thread
                thread.start()

    @property
    def done(self) -> bool:
        """Has every receiver everything, as far as it will ever have it?"""
        return not self._stopping and all(
            feed.caught_up or feed.over for feed, _, _ in self._feeds.values()
        )

    @property
    def over(self) -> bool:
        """Is there no sink that anything more could be sent to?"""
        return all(feed.over for feed, _, _ in self._feeds.values())

    def forget(self) -> None:
        """Forget sinks whose receivers have all they will ever get, but not what was lost."""
        for name, (feed, _stop, _thread) in self._feeds.items():
            if feed.over and not feed.where.why:
                store.remove(self._directory, name)
                with Folder(self._directory, ours=True) as folder:
                    folder.unlink(f"{name}.lock")

    def close(self) -> None:
        """Stop, and wait a moment for positions to be kept."""
        for _feed, stop, _thread in self._feeds.values():
            stop.set()
        end = time.monotonic() + _JOIN
        for _feed, _stop, thread in self._feeds.values():
            thread.join(max(0.0, end - time.monotonic()))
        os.close(self._lock)


def flush(directory: str, seconds: float) -> bool:
    """Forward what is there, for `seconds` at most; True when every sink has everything.

    Where another process forwards, it is only waited for. Raises `LedgerError`.

    >>> flush("/tmp/example", 5)  # doctest: +SKIP
    True
    """
    deadline = time.monotonic() + seconds
    feeds: Feeds | None = None
    try:
        while True:
            if feeds is None:
                try:
                    feeds = Feeds(directory)
                except BlockingIOError:
                    feeds = None
            if feeds is not None:
                feeds.look()
                time.sleep(0.05)
            if feeds.done if feeds is not None else _all_there(directory):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
    except OSError as error:
        raise LedgerError(f"cannot forward {directory}: {error.strerror}") from error
    finally:
        if feeds is not None:
            feeds.close()


def _all_there(directory: str) -> bool:
    end = store.end(directory)
    found = [store.load(directory, name) for name in store.names(directory)]
    found = [known for known in found if known is None or known.sink.descriptor < 0]
    return all(store.position(directory, known).next >= end for known in found if known)
