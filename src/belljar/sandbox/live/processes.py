"""Processes of a sandbox as the host tells them apart: by descriptors, and by their parents."""

from __future__ import annotations

import os
import select
import signal

from belljar.sandbox.live.clocks import parent_of, process_seconds, processes_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Final

#: How often a look is taken at once where the last one found some: what it ends may make others.
_ROUNDS: Final = 8


class Process:
    """A process that cannot be mistaken for a later one of its number (pidfd_open(2)). Closed when
    nobody holds it, so that nobody signals by a number that means something else by now."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = -1
        self.fd = os.pidfd_open(pid)

    @property
    def ended(self) -> bool:
        """Whether it has."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))

    def send(self, number: int) -> bool:
        """Signal it; whether that was possible. It may have ended."""
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return True

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def number_inside(pid: int) -> int:
    """What a process is called in the innermost of its PID namespaces (proc(5), NSpid)."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            text = file.read(1 << 13)
    except OSError:
        return 0
    numbers = text.partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
    return int(numbers[-1]) if numbers and numbers[-1].isdigit() else 0


def is_beneath(pid: int, init: int) -> bool:
    """Whether `init` is among the parents of `pid`."""
    for _ in range(64):
        pid = parent_of(pid)
        if pid == init:
            return True
        if pid <= 1:
            return False
    return False


def end_strays(
    init: int, tasks: int, known: Callable[[], set[int] | None], lock: threading.RLock
) -> float:
    """End all processes beneath `init`, at most `tasks`, but those that are known; the processor
    time that they had used. Nothing is ended any more once `known` says None, under the lock."""
    seconds = 0.0
    seen: set[int] = set()
    for _ in range(_ROUNDS):
        found = processes_beneath(init, tasks) - (known() or set()) - seen
        for pid in found:
            try:
                stray = Process(pid)
            except OSError:
                continue
            with lock:
                now = known()
                if now is None:
                    return seconds
                if pid in now or stray.ended or not is_beneath(pid, init):
                    continue  # what nobody waited for is no harm
            seen.add(pid)
            seconds += process_seconds(pid)
            stray.send(signal.SIGKILL)
        if not found & seen:
            break
    return seconds
