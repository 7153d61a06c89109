"""Wall clock and processor time of a live guest, for each call by itself.

Both are measured from outside and end the guest; nothing inside is asked. A process's CPU clock is
the kernel's (clock_getcpuclockid(3)), read without any right to the process.
"""

from __future__ import annotations

import os
import time

from belljar.confine.settings import cpu_fence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.cgroup import Group
    from belljar.model import Limits

_PROCESS_CLOCK = 2  # CPUCLOCK_SCHED of clock_getcpuclockid(3)
_SIZE = 1 << 12
_MOST_PROCESSES = 1 << 12
_TICKS = os.sysconf("SC_CLK_TCK")


class Clocks:
    """`begin` and `end` frame a call; what is used between two calls has the same limit of
    processor time, and none by the clock."""

    def __init__(self, pid: int, limits: Limits, group: Group | None) -> None:
        self._pid = pid
        # where it may start processes and no group counts them, all beneath its init are counted
        self._init = parent_of(pid) if group is None and limits.processes > 1 else 0
        self._others: float | None = None  # what they had used when the call began
        self._clock = (~pid << 3) | _PROCESS_CLOCK
        self._limits = limits
        self._group = group
        self._deadline = 0.0  # 0: no call
        self._used = 0.0  # at the end, when the process is gone
        self._from = self.used()
        self._fence = float(cpu_fence(limits.cpu))

    def used(self) -> float:
        """Seconds of processor time of the guest's whole life."""
        if self._group is not None:
            return self._group.seconds()
        try:
            self._used = time.clock_gettime(self._clock)
        except OSError:
            return self._used  # it has ended: what was last read stands
        return self._used

    def lower(self, limits: Limits) -> None:
        """The guest has lower limits from now on."""
        self._limits = limits

    @property
    def in_call(self) -> bool:
        """Is the guest asked at the moment?"""
        return self._deadline > 0

    def begin(self, deadline: float) -> float:
        """A call begins that is to end by `deadline` (monotonic); the processor time before."""
        self._from = self.used()
        self._others = None
        self._deadline = deadline
        return self._from

    def end(self) -> float:
        """The call has ended; the processor time that it used."""
        self._deadline = 0.0
        self._others = None
        before, self._from = self._from, self.used()
        return self._from - before

    def over(self, now: float) -> str:
        """`wall` or `cpu`, where that limit is used up; else nothing."""
        if self._deadline and now > self._deadline:
            return "wall"
        used = self.used()
        if used - self._from > self._limits.cpu:
            return "cpu"
        if self._init:
            others = seconds_beneath(self._init)
            if self._others is None:
                self._others = others
            if others - self._others > self._limits.cpu:
                return "cpu"
        if used > self._fence / 2:
            self._raise_fence(used)
        return ""

    def _raise_fence(self, used: float) -> None:
        import resource

        self._fence = 2 * used + cpu_fence(self._limits.cpu)
        try:
            _, hard = resource.prlimit(self._pid, resource.RLIMIT_CPU)
            soft = int(self._fence)
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
            resource.prlimit(self._pid, resource.RLIMIT_CPU, (soft, hard))
        except (OSError, ValueError):
            return  # it has ended, or we may not: the fence signals it then, and that is told

    def peak_memory(self) -> int:
        """The most memory in bytes that the guest had so far; 0 where that cannot be read."""
        if self._group is not None and self._group.peak():
            return self._group.peak()
        try:
            with open(f"/proc/{self._pid}/status", "rb") as file:
                text = file.read(_SIZE)
        except OSError:
            return 0
        number = text.partition(b"VmHWM:")[2].split()[:1]
        return int(number[0]) * 1024 if number and number[0].isdigit() else 0


def parent_of(pid: int) -> int:
    """The process that `pid` is a child of; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read(_SIZE).rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def seconds_beneath(pid: int) -> float:
    """Processor time of all processes that descend from `pid`, and of those that they waited for.
    0 for what ends meanwhile; children that nobody waits for are lost with their end (proc(5))."""
    return sum(map(process_seconds, processes_beneath(pid)))


def process_seconds(pid: int) -> float:
    """Processor time of a process, and of the children that it waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(_SIZE).rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS  # utime, stime, cutime, cstime


def processes_beneath(pid: int) -> set[int]:
    """All processes that descend from `pid`, at the moment (proc(5), children)."""
    seen = {pid}
    rest = [pid]
    while rest and len(seen) < _MOST_PROCESSES:
        parent = rest.pop()
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", "rb") as file:
                    children = {int(child) for child in file.read().split()} - seen
                seen |= children
                rest += children
        except OSError:
            continue
    return seen - {pid}
