"""How each watched process ended: by which signal, and who announced that it would send it.

Since Linux 6.15 the kernel tells whoever holds a pidfd how its process ended, also after its
parent has waited for it (PIDFD_GET_INFO with PIDFD_INFO_EXIT). Before that only a process that
nobody has waited for yet tells. The kernel keeps no sender: that is what audit events say.
"""

from __future__ import annotations

import fcntl
import os
import struct

from belljar.errors import GuestProtocolError
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from typing import Any, Final

    from belljar.watch.collect import Chunk
    from belljar.watch.findings import Finding

_GET_INFO: Final = 0xC040FF0B  # _IOWR(0xff, 11, struct pidfd_info), its first form of 64 bytes
_INFO_EXIT: Final = 1 << 3
_MOST_HELD: Final = 256
_MOST: Final = 4096
_EVERY: Final = 64
_HELLO: Final = 1
#: How the bodies of the two events go on behind their first byte, and where that stands.
_SENT: Final = (b"\xa7os.kill\x92", b"\xa9os.killpg\x92")
_BEFORE: Final = 33
_HARMLESS: Final = frozenset((17, 18, 19, 20, 21, 22, 23, 28))  # SIGCHLD, SIGSTOP and the like


class End(Value):
    """How a process ended: `signal`, or 0 and the exit `status`; -1 where only the sender is
    known. `start` is in clock ticks since boot.

    `by` is the process that last announced sending that signal to it, 0 where none did, and
    Belljar's own where it passed on what it was sent.

    >>> print(End(7, 1, -1, 9, 4), "|", End(7, 1, 2, 0), "|", End(7, 1, -1, 64))
    SIGKILL from 4 | exit status 2 | signal 64
    """

    pid: int
    start: int
    status: int
    signal: int
    by: int = 0

    def __str__(self) -> str:
        if not self.signal:
            return f"exit status {self.status}"
        if self.by == os.getpid():
            return f"{name(self.signal)} that belljar passed on"
        who = "itself" if self.by == self.pid else str(self.by)
        return name(self.signal) + (f" from {who}" if self.by else "")

    def plain(self) -> dict[str, Any]:
        """The end as a map of plain values, for a ledger or JSON."""
        return {"pid": self.pid, "start": self.start, "status": self.status,
                "signal": self.signal, "by": self.by}  # fmt: skip


class Ends:
    """Follows processes by their hellos, and signals by the events that announce them.

    `take` chunks as they come, soon: who has ended and was waited for before its hello was taken
    tells nothing. `finish` once all ended.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[int, int, int]] = {}  # pid: start, group, pidfd
        self._said: dict[int, tuple[int, int]] = {}  # pid: start, group
        self._sent: dict[int, tuple[int, int]] = {}  # pid, or minus a group: signal, from whom
        self._passed: list[tuple[int, int]] = []
        self._ends: dict[int, End] = {}
        self._most = _MOST_HELD
        self._wait = 0

    def take(self, chunks: Iterable[Chunk]) -> None:
        """Look at what begins and what is sent."""
        for chunk in chunks:
            data = chunk.data
            for offset, length in chunk.flagged:
                if data[offset + 4] == _HELLO:
                    self._hello(data[offset : offset + length])
            for sent in _SENT:
                at = data.find(sent)
                while at >= 0:
                    self._send(data, at - _BEFORE)
                    at = data.find(sent, at + 1)

    def passed_on(self, pid: int, signal: int) -> None:
        """Belljar itself sent a signal that it was sent."""
        self._passed.append((pid, signal))

    def _send(self, data: bytes, at: int) -> None:
        if at < 0 or data[at : at + 2] != b"\x42\x4a" or len(self._sent) >= _MOST:
            return
        from belljar.events.decode import decode

        try:
            event = decode(data[at : at + int.from_bytes(data[at + 2 : at + 4], "little")])
        except GuestProtocolError:
            return
        to, signal = event.args[:2]
        if type(to) is int and to and type(signal) is int and 0 < signal < 128:
            if signal in _HARMLESS:
                return
            group = event.name == "os.killpg" and to > 0
            self._sent[-to if group else to] = (signal, event.pid)

    def _hello(self, frame: bytes) -> None:
        from belljar.events.decode import decode_hello  # when the program starts already

        try:
            hello = decode_hello(frame)
        except GuestProtocolError:
            return
        pid = hello.header.pid
        if pid in self._said and self._said[pid][0] == hello.start:
            return  # it became another program
        self._sent.pop(pid, None)
        self._ends.pop(pid, None)
        self._let_go(pid)
        if len(self._said) < _MOST:
            self._said[pid] = (hello.start, 0)
        if len(self._held) >= self._most:
            self._wait += 1
            if self._wait % _EVERY != 1:
                return
            for one in list(self._held):
                self._ask(one)
            if len(self._held) >= self._most:
                return
        try:
            held = os.pidfd_open(pid)
        except OSError:  # it is gone, or there is no room for more
            return
        start, group, _ = _stat(pid)
        if start == hello.start:
            self._said[pid] = (start, group)
            self._held[pid] = (start, group, held)
        else:  # another process has that number here
            os.close(held)

    def _ask(self, pid: int) -> bool:
        """Has it ended? Then how is noted."""
        start, _, held = self._held[pid]
        status = _info(held)
        if status is None:
            began, _, status = _stat(pid)
            if began != start:  # waited for just now
                status = _info(held)
        if status is None:
            return False
        self._let_go(pid)
        if len(self._ends) < _MOST:
            self._ends[pid] = self._end(pid, status)
        return True

    def _end(self, pid: int, status: int) -> End:
        start, group = self._said.get(pid, (0, 0))
        number = status & 0x7F
        by = os.getpid() if (pid, number) in self._passed else 0
        for signal, sender in map(self._sent.get, (-group, pid), ((0, 0),) * 2):
            by = sender if number and signal == number else by
        return End(pid, start, -1 if number else status >> 8, number, by)

    def finish(self, child: int, status: int, gone: Container[int] = ()) -> tuple[End, ...]:
        """All that is known once `child`, which the caller waited for, ended with `status` (as
        `waitpid` gives it). Of those in `gone`, who took no leave, at least what they were sent.
        """
        for pid in list(self._held):
            self._ask(pid)
        self._ends[child] = self._end(child, status)
        for pid, (start, _) in self._said.items():
            if pid not in self._ends and pid in gone and pid in self._sent:
                self._ends[pid] = End(pid, start, -1, *self._sent[pid])
        return tuple(self._ends.values())

    def _let_go(self, pid: int) -> None:
        if pid in self._held:
            os.close(self._held.pop(pid)[2])

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Give back what is held."""
        for pid in list(self._held):
            self._let_go(pid)


def explained(findings: Iterable[Finding], ends: Iterable[End]) -> list[Finding]:
    """`findings`, those of vanished processes with how they ended, where that is known. Whoever
    was told to end by another of them, and did, has not vanished.
    """
    known = {end.pid: end for end in ends}
    found = []
    for one in findings:
        end = known.get(one.pid) if one.kind == "vanished" and not one.detail else None
        if end is None:
            found.append(one)
        elif end.by in (0, end.pid, os.getpid()):
            found.append(one.replace(detail=f"{one} ({end})"))
    return found


def name(signal: int) -> str:
    """A signal's name; `signal 64` for one without.

    >>> name(15)
    'SIGTERM'
    """
    from signal import Signals

    try:
        return Signals(signal).name
    except ValueError:
        return f"signal {signal}"


def _info(held: int) -> int | None:
    """How the process of a pidfd ended, if the kernel has that to tell."""
    info = bytearray(64)
    struct.pack_into("=Q", info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(held, _GET_INFO, info)
    except OSError:  # an older kernel, or a process that ended and was not waited for
        return None
    told: int = struct.unpack_from("=Q", info, 0)[0]
    return struct.unpack_from("=i", info, 60)[0] if told & _INFO_EXIT else None


def _stat(pid: int) -> tuple[int, int, int | None]:
    """When it began, its group, and how it ended if it has; zeros where that cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
        over = fields[0] in (b"Z", b"X")
        return int(fields[19]), int(fields[2]), int(fields[49]) if over else None
    except (OSError, IndexError, ValueError):
        return 0, 0, None
