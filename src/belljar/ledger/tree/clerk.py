"""The ledger's clerk: a background process that signs what writers append, and feeds the sinks.

One for each ledger, called by writers (`ledger.tree.summon`). It ends 3 seconds after the last
of them. It may be killed at any moment: the next one finds out from the files where it was.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from contextlib import suppress

from belljar.errors import LedgerError
from belljar.ledger import folders
from belljar.ledger.tree.notary import Notary
from belljar.ledger.tree.summon import LOCK
from belljar.ledger.use import IN_USE, STATE, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, Protocol

    class Feeder(Protocol):
        """What is asked of `belljar.ledger.sinks.forward.Forwarder`."""

        def step(self) -> float:
            """Do what is due; seconds until there is more."""

        def close(self) -> None:
            """Let go of the sinks."""


_STATE_SIZE: Final = 2048
_SINKS: Final = "sinks"
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

TICK: Final = 0.5  # seconds between looks at the chain
HEARTBEAT: Final = 1.5  # and between checkpoints when nothing comes
EPOCH: Final = 600.0
LINGER: Final = 3.0  # after the last writer
_MOST_LINGER: Final = 60.0  # while sinks still have something to do
_RETRY: Final = (1.0, 2.0, 5.0, 10.0, 30.0)


class Clerk:
    """The clerk of the ledger in `directory`; False from `start` when there is another.

    >>> clerk = Clerk("/tmp/example")  # doctest: +SKIP
    >>> if clerk.start():  # doctest: +SKIP
    ...     clerk.work()
    """

    def __init__(self, directory: str, *, epoch: float = EPOCH, linger: float = LINGER) -> None:
        self.directory = directory  # held from `start` on
        self.notary = Notary(directory)
        self.stopped = threading.Event()
        self._epoch = epoch
        self._linger = linger
        self._lock = -1
        self._error = self._sinks_error = ""
        self._failures = 0
        self._began = 0.0
        self._sinks: threading.Thread | None = None
        self._fed = False  # whether the sinks have nothing more to do at once

    def start(self, patience: float = 0.2) -> bool:
        """Become the clerk. Raises `OSError`, `LedgerError` where others can write the ledger."""
        self._hold()
        self._lock = self._file(LOCK)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(self._lock)
                    self._lock = -1
                    return False
                time.sleep(0.01)

    def once(self) -> int:
        """One round and the end of the epoch, in the foreground; records that were added.

        Raises `LedgerError`.
        """
        try:
            self._hold()
        except OSError as error:
            raise LedgerError(f"cannot sign in {self.directory}: {error.strerror}") from error
        try:
            added = self.notary.round()
            self.notary.end_epoch()
            return added
        except LedgerError as error:
            self._error = str(error)
            raise
        finally:
            self._say(ended=True)
            self.notary.close()
            self._release()

    def work(self) -> None:
        """Sign until `linger` seconds after the last writer, or until `stopped` is set."""
        self._began = used = time.monotonic()
        due = 0.0
        while self._mine():
            now = time.monotonic()
            if now >= due:
                done = self._try(now - self._began >= self._epoch)
                due = now + (TICK if done else _RETRY[min(self._failures, len(_RETRY)) - 1])
            self._feed()
            if not self._idle():
                used = time.monotonic()
            told = self.stopped.is_set()
            rested = time.monotonic() - used
            if (told or rested >= self._linger) and self._leave(told or rested >= _MOST_LINGER):
                return
            self.stopped.wait(TICK)

    def _hold(self) -> None:
        """From here on it is one directory, whatever its name comes to mean."""
        self.directory = self.notary.directory = opened(self.directory)

    def _mine(self) -> bool:
        """Whether the lock still is the ledger's: that, or all of it, may have been replaced."""
        try:
            here = os.fstat(folders.held(self.directory).fd)
            lock = folders.status(self.directory, LOCK)
            if lock is None or not os.path.samestat(os.stat(str(self.directory)), here):
                return False
        except OSError:
            return False
        return os.path.samestat(lock, os.fstat(self._lock))

    def _file(self, name: str) -> int:
        """A descriptor of a file of the ledger's directory, made where there is none."""
        folder = folders.enter(self.directory)
        try:
            return os.open(name, _FLAGS, 0o600, dir_fd=folder)
        finally:
            os.close(folder)

    def _try(self, over: bool) -> bool:
        """A round, if there is anything to do. What cannot be done is said and tried again."""
        try:
            rest = time.monotonic() - self.notary.signed
            if over:
                self.notary.end_epoch()
                self._began = time.monotonic()
            elif rest >= HEARTBEAT or self.notary.behind():
                self.notary.round()
            else:
                return True
            self._error, self._failures = "", 0
        except (LedgerError, OSError) as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a defect is told, not a silence
            self._failed(f"{type(error).__name__}: {error}")
        self._say()
        return not self._error

    def _failed(self, why: str) -> None:
        self._error = why
        self._failures += 1
        self.notary.close()

    def _idle(self) -> bool:
        """Whether no writer is there; new ones wait for the moment that this takes."""
        fd = self._alone()
        if fd >= 0:
            os.close(fd)
        return fd >= 0

    def _alone(self) -> int:
        """A descriptor that keeps writers from beginning; -1 when there are some."""
        try:
            fd = self._file(IN_USE)
        except OSError:
            # The disk is read-only or the ledger gone: nobody writes there.
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return -1
        return fd

    def _leave(self, now: bool) -> bool:
        """End the epoch and go, unless somebody came meanwhile; whether that was done."""
        if not now and self._sinks is not None and not self._fed:
            return False
        self._try(over=True)
        fd = self._alone()
        if fd < 0 and not self.stopped.is_set():
            return False
        try:
            # Who comes from here on waits for `fd`, and then finds no clerk.
            if fd >= 0 and not self._error and self.notary.behind():
                return False
            self._end_sinks()
            self.notary.close()
            self._say(ended=True)
            self._release()
            return True
        except LedgerError as error:
            self._error = str(error)
            return False
        finally:
            if fd >= 0:
                os.close(fd)

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # -- sinks, in a thread of their own: a slow one delays no checkpoint

    def _feed(self) -> None:
        if self._sinks is None and self._has_sinks():
            self._sinks = threading.Thread(target=self._forward, name="sinks", daemon=True)
            self._sinks.start()

    def _has_sinks(self) -> bool:
        with suppress(LedgerError):
            return folders.there(self.directory, _SINKS)
        return False

    def _forward(self) -> None:
        from belljar.ledger.sinks.forward import Forwarder

        feeder: Feeder | None = None
        while True:
            wait = _RETRY[-1]
            try:
                feeder = feeder or Forwarder(self.directory)
                wait = feeder.step()
                self._sinks_error = ""
            except Exception as error:  # noqa: BLE001 - whatever ails a sink, the clerk goes on
                self._sinks_error = f"{type(error).__name__}: {error}"
                if feeder is not None:
                    with suppress(Exception):
                        feeder.close()
                feeder = None
            self._fed = wait > 0
            if self.stopped.wait(min(max(wait, 0.0), TICK if feeder else _RETRY[-1])):
                break
        if feeder is not None:
            with suppress(Exception):
                feeder.close()

    def _end_sinks(self) -> None:
        self.stopped.set()
        if self._sinks is not None:
            self._sinks.join(5.0)

    def _say(self, ended: bool = False) -> None:
        """Write `clerk.state`, in place: that works on a disk that is full, too."""
        said = {
            "time": time.time_ns(),
            "pid": 0 if ended else os.getpid(),
            "records": self.notary.size,
            "entries": self.notary.entries,
            "epoch": self.notary.epoch,
            "error": self._error[:400],
            "sinks": self._sinks_error[:400],
            "warning": self.notary.warning[:400],
        }
        data = json.dumps(said).encode().ljust(_STATE_SIZE - 1)[: _STATE_SIZE - 1] + b"\n"
        with suppress(OSError):
            fd = self._file(STATE)
            try:
                os.pwrite(fd, data, 0)
            finally:
                os.close(fd)


def state(directory: str) -> dict[str, Any]:
    """What the clerk said last; empty when that is nothing that can be read.

    >>> state("/no/such/directory")
    {}
    """
    try:
        found = json.loads(folders.read(directory, STATE, _STATE_SIZE) or b"")
    except (LedgerError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def main(directory: str) -> int:
    """The background process, which has left its starter (`summon`): become the clerk or end."""
    detach()
    os.chdir("/")
    os.umask(0o077)
    with suppress(OSError):
        os.nice(10)
    clerk = Clerk(directory)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: clerk.stopped.set())
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        if not clerk.start():
            return 0
        clerk.work()
    except (OSError, LedgerError):
        return 1  # the ledger is gone or not ours alone, or its disk lets nobody lock
    return 0


def detach() -> None:
    """Close what the starter left open by mistake: a clerk must not keep its pipes alive."""
    highest = max(map(int, os.listdir("/proc/self/fd")), default=2)
    os.closerange(3, highest + 1)
