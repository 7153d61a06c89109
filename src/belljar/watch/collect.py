"""The collector: one FIFO, many recorded processes, every frame counted.

Knows nothing of what is being recorded or why, and cheap to import: `belljar run` needs it
before its guest starts. It trusts no byte of what it reads.
"""

from __future__ import annotations

import errno
import fcntl
import os

from belljar._native import scan_frames
from belljar.model import Value
from belljar.watch.answers import Answers
from belljar.watch.findings import Finding, of_gap
from belljar.watch.page import Page
from belljar.watch.sweep import hold, sweep_sometimes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

HELLO, EVENT, BYE, LOSS, SYSCALL = 1, 2, 3, 4, 5
CHECK, REFUSED, TRUNCATED, FORKED, ASK, SILENCED = 1, 2, 4, 8, 16, 32
HEADER: Final = 32

_SET_PIPE_SIZE: Final = 1031
_PIPE_SIZE: Final = 1 << 20
_MOST_AT_ONCE: Final = 2 << 20
_MOST_RESUMED: Final = 64
_MOST_FINDINGS: Final = 1000
_MOST_PROCESSES: Final = 1 << 16
_MOST_LOST: Final = (1 << 63) - 1
_MAGIC: Final = b"\x42\x4a"
#: How the body of an `os.kill` goes on behind its first byte; signals that end whoever has no
#: handler for them.
_KILL: Final = b"\xa7os.kill\x92"
_ENDING: Final = frozenset((1, 2, 3, 6, 9, 10, 12, 13, 14, 15))


class Chunk(Value):
    """Whole frames, as they came: `count` of them in `data`.

    `flagged` are the places (offset, length) in `data` of every frame but events, and of events
    that the host has to decide (flag CHECK).
    """

    data: bytes
    count: int
    flagged: tuple[tuple[int, int], ...]


class Collector:
    """Owns a private directory with the FIFO that recorded processes write into, and the page in
    which one of them may let bulk events pend.

    Hand `path` to them as BELLJAR_CHANNEL and `page` as BELLJAR_PAGE (or make both visible to a
    sandbox), poll `fileno()` for reading, call `drain()`, at the end `drain(idle=True)` until it
    gives nothing, then `finish()`. Where some events wait for an answer, hand out `answers` as
    BELLJAR_ANSWERS, too, and call `answer()`. The collector holds both ends open: a writer never
    sees a broken channel while the collector lives, and meets a full FIFO as its settings say.
    `events` and `frames` count what came, `drops` what processes said that they lost.
    Raises `OSError` where the directory or the FIFO cannot be made.

    >>> with Collector() as collector:
    ...     collector.drain()
    []
    """

    _fd = -1

    def __init__(self, parent: str | None = None) -> None:
        self.events = 0
        self.frames = 0
        self.drops = 0
        self.answered = 0
        self.findings: list[Finding] = []
        #: the one process that may speak on the FIFO (0: any), and how many frames came over a
        #: process's channel in another's name
        self.only = 0
        self.forged: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        self._open: set[int] = set()
        self._lost: dict[int, int] = {}
        self._told: dict[int, int] = {}  # of what is lost, since the process's last hello
        self.killed: dict[int, tuple[int, int]] = {}  # by which signal, from whom
        self._rest = b""
        self._skipped = 0
        self._more_findings = 0
        self._fd = self._writer = self._beside = -1  # beside: farewells for which was no room
        self._parent = parent = parent or os.environ.get("TMPDIR") or "/tmp"
        self.directory = f"{parent}/belljar-{os.urandom(9).hex()}"
        self.path = self.directory + "/channel"
        self.page = self.directory + "/page"
        self._page: Page | None = None
        self._answers: Answers | None = None
        self._owner = os.getpid()
        os.mkdir(self.directory, 0o700)
        try:
            os.mkfifo(self.path, 0o600)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            hold(self._fd)
            self._page = Page(self.page)
            try:
                fcntl.fcntl(self._fd, _SET_PIPE_SIZE, _PIPE_SIZE)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EBUSY):  # more than this user may have
                    raise
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._fd >= 0 and os.getpid() == self._owner:  # an interrupt kept it from its owner
            self.close()

    def fileno(self) -> int:
        """The reading end, to be polled."""
        return self._fd

    @property
    def answers(self) -> str:
        """The path of the answers file, made when it is first asked for."""
        if self._answers is None:
            self._answers = Answers(self.directory + "/answers")
        return self._answers.path

    def answer(self, slot: int, seq: int, verdict: int) -> None:
        """Let the process go on that asked with event `seq` and named `slot`: `answers.ALLOW`,
        `DENY` or `KILL`. A slot that cannot be is no one's; whoever waits meets its deadline.

        >>> collector.answer(slot, event.seq, ALLOW)  # doctest: +SKIP
        """
        self.answered += 1
        if self._answers is not None:
            self._answers.give(slot, seq, verdict)

    def settings(self, text: str) -> str:
        """Keep `text` (`attach.settings`) as long as the channel; the path for BELLJAR_SETTINGS."""
        path = self.directory + "/settings"
        if self._beside < 0 and text.startswith("overflow\tdrop\n"):
            flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._beside = os.open(self.directory + "/farewells", flags, 0o600)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(text.encode("utf-8"))
        return path

    @property
    def heard(self) -> bool:
        """Has any process spoken for itself? What the cross-check's tracer tells is not that."""
        return self.events > 0 or bool(self._last)

    def drain(self, *, idle: bool = False) -> list[Chunk]:
        """Everything that has come, in order; never waits. Ends early after some megabytes, so
        that a flood cannot keep the caller from its other work: call again until it is empty.

        Where the FIFO gives nothing and the caller has time (`idle`), what pends in the page is
        taken. Ask so about 10 ms after the last frame, before going to sleep, and at the end.
        """
        assert self._page is not None
        chunks: list[Chunk] = []
        taken = 0
        while taken < _MOST_AT_ONCE:
            try:
                data = os.read(self._fd, _PIPE_SIZE)
            except BlockingIOError:
                break
            taken += len(data)
            if self._page.pends:
                if len(data) == _PIPE_SIZE:  # it may end amid a write
                    data += self._more()
                data = self._page.cut(data)
            rest = self._rest + data if self._rest else data
            self._rest = self.take(rest, chunks, self.only)
        if idle and not taken:
            pending = self._page.peek(self._fd)
            if pending and not self.knows(pending):
                self._skipped += len(self.take(pending, chunks, self.only))
            elif self._beside >= 0:
                self._skipped += len(self.take(os.read(self._beside, _PIPE_SIZE), chunks))
        return chunks

    def _more(self) -> bytes:
        try:
            return os.read(self._fd, _PIPE_SIZE)
        except BlockingIOError:
            return b""

    def knows(self, pending: bytes) -> bool:
        """Was this written into the FIFO by a process that died before it could empty its page?
        One write is whole or not at all: the first frame tells.
        """
        pid = int.from_bytes(pending[8:12], "little")
        return int.from_bytes(pending[16:24], "little") <= self._last.get(pid, -1)

    def finish(self, running: Callable[[int], bool] | None = None) -> list[Finding]:
        """All findings, those included that only the end can tell.

        `running` says of a pid that was not seen to end whether it still runs; without it, all
        of those have vanished.
        """
        if self._rest:
            self._skipped += len(self._rest)
            self._rest = b""
        found = list(self.findings)
        if self._skipped:
            found.append(Finding("malformed", 0, self._skipped))
        found += [Finding("forged", pid, count) for pid, count in self.forged.items()]
        found += [Finding("drops", pid, count) for pid, count in self._lost.items()]
        for pid, seq in self._last.items():
            if self._ended.get(pid) != seq:
                alive = running is not None and running(pid)
                if pid in self.killed and not alive:
                    continue
                found.append(Finding("running" if alive else "vanished", pid, seq))
        if self._more_findings:
            text = f"{self._more_findings} more findings were not kept"
            found.append(Finding("flood", 0, self._more_findings, 0, text))
        return found

    def forget(self, pid: int) -> None:
        """A process that is known to have ended, in whatever way, and of which nothing is left to
        be told: where thousands come and go, they are not all remembered."""
        self._open.discard(pid)
        for known in (self._last, self._ended, self._lost, self._told, self.killed):
            known.pop(pid, None)

    def abandon(self) -> None:
        """In a forked child: close what was inherited. The channel is the parent's."""
        for descriptor in (self._fd, self._writer, self._beside):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._writer = self._beside = -1

    def tidy(self) -> None:
        """Remove what killed collectors left beside this one; `close` does it otherwise."""
        sweep_sometimes(self._parent)

    def close(self) -> None:
        """Remove the FIFO, all beside it and the directory, and what killed collectors left behind.
        Processes that still run go on unrecorded. Closing again does nothing.
        """
        if self._fd >= 0:
            self.tidy()
            os.fchmod(self._fd, 0)  # without a name, too: the record ended in order
        _remove(os.unlink, self.path)
        for end in ("_beside", "_writer", "_fd"):
            descriptor = getattr(self, end)
            setattr(self, end, -1)  # first: who is interrupted closes no other's number
            if descriptor >= 0:
                os.close(descriptor)
        for file in (self._page, self._answers):
            if file is not None:
                file.close()
        for name in ("page", "farewells", "answers", "settings"):
            _remove(os.unlink, f"{self.directory}/{name}")
        _remove(os.rmdir, self.directory)

    def take(self, data: bytes, chunks: list[Chunk], only: int = 0) -> bytes:
        """Note the whole frames, of process `only` where given; what is left may begin one."""
        while data:
            try:
                size, count, flagged, gaps, *own = scan_frames(data, self._last, only)
            except ValueError:
                data = self._resume(data)
                continue
            if not size:
                break
            if size < len(data):
                whole, data = data[:size], data[size:]
            else:
                whole, data = data, b""
            if own and own[0]:
                self.forged[only] = self.forged.get(only, 0) + own[0]
                whole = own[1]
                if not count:
                    continue
            self.frames += count
            self.events += count
            for gap in gaps:
                self._find(of_gap(*gap))
            if _KILL in whole:
                self._note_kills(whole)
            for offset, length in flagged:
                self._follow(whole, offset, length)
            chunks.append(Chunk(whole, count, tuple(flagged)))
        if len(self._last) > _MOST_PROCESSES:
            self._forget()
        return data

    def _follow(self, data: bytes, offset: int, length: int) -> None:
        """Note the beginning or end of a process, and what it lost."""
        kind = data[offset + 4]
        if kind == EVENT:
            if data[offset + 5] & SILENCED:
                pid = int.from_bytes(data[offset + 8 : offset + 12], "little")
                seq = int.from_bytes(data[offset + 16 : offset + 24], "little")
                self._find(Finding("silenced", pid, seq))
            return
        self.events -= 1
        pid = int.from_bytes(data[offset + 8 : offset + 12], "little")
        if kind == HELLO:
            self._told.pop(pid, None)
            ended = self._ended.pop(pid, None) is not None
            if self.killed.pop(pid, None) is None and pid in self._open and not ended:
                text = f"process {pid} was replaced without a farewell"
                self._find(Finding("vanished", pid, 0, 0, text))
            self._open.add(pid)
        elif kind == BYE:
            self._ended[pid] = int.from_bytes(data[offset + 16 : offset + 24], "little")
            drops = _count(data[offset + HEADER : offset + length])
            if drops:  # all of them, those of each loss included
                self._lose(pid, drops - self._told.get(pid, 0))
        elif kind == LOSS:
            self._lose(pid, _count(data[offset + HEADER : offset + length]))

    def _note_kills(self, data: bytes) -> None:
        """Who was told to end by another of these processes? That one may take no leave."""
        at = data.find(_KILL)
        while at >= 0:
            head, value = at - HEADER - 1, at + len(_KILL)
            if head >= 0 and data[head : head + 2] == _MAGIC and data[head + 4] == EVENT:
                pid, value = _number(data, value)
                signal, _ = _number(data, value)
                by = int.from_bytes(data[head + 8 : head + 12], "little")
                if pid in self._open and by != pid and signal in _ENDING:
                    self.killed[pid] = (signal, by)
            at = data.find(_KILL, at + 1)

    def _lose(self, pid: int, count: int) -> None:
        count = min(count, _MOST_LOST - self.drops)  # so that every sum can be written down
        if count > 0:
            self.drops += count
            self._told[pid] = self._told.get(pid, 0) + count
            self._lost[pid] = self._lost.get(pid, 0) + count

    def _find(self, finding: Finding) -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)
        else:
            self._more_findings += 1

    def _resume(self, data: bytes) -> bytes:
        """What follows bytes that are no frame, from the next place that may be one."""
        at = data.find(_MAGIC, 1)
        for _ in range(_MOST_RESUMED):  # garbage made of magic words must not cost the host time
            if at < 0:
                break
            try:
                scan_frames(data[at : at + HEADER], {})
            except ValueError:
                at = data.find(_MAGIC, at + 1)
            else:
                break
        else:
            at = -1
        if at < 0:
            at = len(data)
        self._skipped += at
        return data[at:]

    def _forget(self) -> None:
        """Someone invents processes: keep the memory bounded, and say so."""
        self._find(Finding("flood", 0, len(self._last), 0, "too many processes to follow"))
        for known in (self._last, self._ended, self._open, self._lost, self._told, self.killed):
            known.clear()


def _remove(remove: Callable[[str], None], path: str) -> None:
    try:
        remove(path)
    except FileNotFoundError:
        return


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The MessagePack unsigned number at `at` (-1: something else) and where the next value is."""
    first = data[at] if at < len(data) else 0xC0
    if first < 0x80:
        return first, at + 1
    width = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}.get(first, 0)
    return int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else -1, at + 1 + width


def _count(body: bytes) -> int:
    """The count in the body of a farewell or a loss, an array of one unsigned number; 0 for
    anything else.
    """
    return max(0, _number(body, 1)[0]) if body[:1] == b"\x91" else 0
