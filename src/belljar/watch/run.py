"""Run a command, restrict nothing, collect everything that it and its children report."""

from __future__ import annotations

import errno
import os
import select

from belljar.errors import ProgramNotExecutable, ProgramNotFound
from belljar.model import Value
from belljar.watch.attach import environment
from belljar.watch.collect import Collector
from belljar.watch.ends import End, Ends, explained
from belljar.watch.findings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType
    from typing import Any, Final

    from belljar.watch.collect import Chunk
else:
    import _signal as signal  # signal itself imports enum

#: A collector that is asleep costs the program 5 to 30 us to wake it: nap (ms) between drains.
#: After _PATIENCE drains of nothing, sleep; look at the page all the same every _DOZE ms.
_NAP: Final = 3
_PATIENCE: Final = 4
_DOZE: Final = 500
#: In between, nobody's write wakes it: so long a nap (ms), so often. Where events wait for an
#: answer it is woken.
_LONG_NAP: Final = 20
_LONG_NAPS: Final = 250
#: After an answer, whoever got it may ask again at once: so many drains without a nap.
_AWAKE: Final = 8
_IGNORED: Final = (signal.SIGINT, signal.SIGQUIT)
_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP)
#: What Python ignores at start and a program expects to be at its default.
_DEFAULTED: Final = (signal.SIGPIPE, signal.SIGXFSZ)


class Watched(Value):
    """How a watched command ended. `status` is as a shell would give it: 128 + n for a signal,
    and `signal` is that signal, or 0; `ends` is what is known of its end and of other processes'.
    """

    status: int
    pid: int
    events: int
    drops: int
    findings: tuple[Finding, ...]
    signal: int = 0
    ends: tuple[End, ...] = ()

    @property
    def end(self) -> End | None:
        """How the command itself ended."""
        return next((end for end in self.ends if end.pid == self.pid), None)


def watch(
    argv: Sequence[str],
    environ: Mapping[str, str],
    take: Callable[[list[Chunk]], object],
    meanwhile: Callable[[], bool] = lambda: False,
    *,
    speaks: bool = False,
    settings: str = "",
    prefix: Sequence[str] = (),
    ready: Callable[[Collector], None] = lambda _collector: None,
) -> Watched:
    """Run `argv` (a path and its arguments) and hand every chunk of its record to `take`.

    Streams, working directory and exit status are the program's own. Until it ends, SIGINT and
    SIGQUIT are left to it, SIGTERM and SIGHUP are passed on. `meanwhile` is called whenever there
    is nothing to collect, until it has nothing left to do and returns False. A program that
    `speaks` (a Python) and was not heard is a finding.

    `settings` is the text that `attach.settings` gives; `ready` gets the collector before the
    program starts, for whoever has to answer it; `prefix` is a command (a path and its arguments)
    that is started instead and executes `argv`.
    Raises `ProgramNotFound` and `ProgramNotExecutable`.
    """
    ends = Ends()

    def both(chunks: list[Chunk]) -> None:
        take(chunks)
        ends.take(chunks)

    with Collector(_in_memory()) as collector, ends:
        before: dict[int, Any] = {
            number: signal.getsignal(number) for number in (*_IGNORED, *_FORWARDED)
        }
        env = environment(
            environ,
            collector.path,
            page=collector.page,
            answers=collector.answers if settings else None,
            settings=collector.settings(settings) if settings else None,
        )
        ready(collector)
        child = _spawn([*prefix, *argv], env, before)
        descriptor = os.pidfd_open(child)
        try:
            _hand_over(descriptor, before, lambda number: ends.passed_on(child, number))
            naps = 0 if "\nask\t" in f"\n{settings}" else _LONG_NAPS
            _collect(collector, descriptor, both, meanwhile, naps)
            _, ended = os.waitpid(child, 0)
        finally:
            os.close(descriptor)
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        _drain(collector, both)
        findings = collector.finish(_runs)
        gone = {one.pid for one in findings if one.kind == "vanished"} | collector.killed.keys()
        known = ends.finish(child, ended, gone)
        if speaks and not collector.heard:
            findings.append(Finding("silent", child))
        code = os.waitstatus_to_exitcode(ended)
        status = code if code >= 0 else 128 - code
        found = tuple(explained(findings, known))
        count, drops = collector.events, collector.drops
        return Watched(status, child, count, drops, found, max(0, -code), known)


def _in_memory() -> str | None:
    """Where the channel costs least: a write to a FIFO also sets the time of its inode, and on a
    disk's file system that is 20 to 30 us each time the clock has ticked. None: the usual place."""
    place = "/dev/shm"  # the directory in it is private, its name random
    usable = "TMPDIR" not in os.environ and os.access(place, os.W_OK | os.X_OK)
    return place if usable else None


def _spawn(argv: Sequence[str], env: dict[str, str], before: Mapping[int, Any]) -> int:
    """Start the program with the signals it would have had without us."""
    reset = [n for n in _IGNORED if before[n] != signal.SIG_IGN]
    try:
        return os.posix_spawn(argv[0], list(argv), env, setsigdef=[*reset, *_DEFAULTED])
    except FileNotFoundError:
        raise ProgramNotFound(f"cannot run {argv[0]}: there is no such program") from None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.ENOEXEC, errno.EISDIR, errno.E2BIG):
            text = f"cannot run {argv[0]}: {error.strerror}"
            raise ProgramNotExecutable(text) from None
        raise


def _hand_over(child: int, before: Mapping[int, Any], note: Callable[[int], None]) -> None:
    """Signals meant for the program go to it."""

    def forward(number: int, _frame: FrameType | None) -> None:
        note(number)
        try:
            signal.pidfd_send_signal(child, number)
        except ProcessLookupError:
            return

    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for number in _FORWARDED:
        if before[number] != signal.SIG_IGN:
            signal.signal(number, forward)


def _collect(
    collector: Collector,
    child: int,
    take: Callable[[list[Chunk]], object],
    meanwhile: Callable[[], bool],
    naps: int,
) -> None:
    both, ended = select.poll(), select.poll()
    for poll in (both, ended):
        poll.register(child, select.POLLIN)
    both.register(collector.fileno(), select.POLLIN)
    over = False
    quiet = awake = 0
    while not over:
        chunks = collector.drain(idle=quiet >= _PATIENCE)
        if chunks:
            before = collector.answered
            take(chunks)
            quiet = 0
            awake = _AWAKE if collector.answered > before else awake - 1
            if awake > 0:
                over = any(descriptor == child for descriptor, _ in both.poll(_NAP))
            else:
                over = bool(ended.poll(_NAP))
            continue
        quiet += 1
        busy = meanwhile()
        if quiet <= _PATIENCE:
            over = bool(ended.poll(0 if busy else _NAP))
        elif quiet <= _PATIENCE + naps:
            over = bool(ended.poll(0 if busy else _LONG_NAP))
        else:
            wait = 0 if busy else _DOZE
            over = any(descriptor == child for descriptor, _ in both.poll(wait))


def _drain(collector: Collector, take: Callable[[list[Chunk]], object]) -> None:
    while chunks := collector.drain(idle=True):
        take(chunks)


def _runs(pid: int) -> bool:
    """Does the process still run? One that ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] not in (b"Z", b"X", b"")
    except OSError:
        return False
