"""Wall clock and processor time of a live guest, for each call by itself.

Both are measured from outside and end the guest; nothing inside is asked. A process's CPU clock is
the kernel's (clock_getcpuclockid(3)), read without any right to the process.
"""

from __future__ import annotations

import os
import threading
import time

from belljar.confine.settings import cpu_fence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.confine.cgroup import Group
    from belljar.model import Limits
    from belljar.sandbox.live.processes import Process

_PROCESS_CLOCK = 2  # CPUCLOCK_SCHED of clock_getcpuclockid(3)
_SIZE = 1 << 12
#: Of processes that are followed, beyond what a sandbox may have: they come and go meanwhile.
_MOST_MORE = 1 << 12
_PROC = "/proc"
_TICKS = os.sysconf("SC_CLK_TCK")
_ALL, _WAITED_FOR = slice(11, 15), slice(13, 15)  # utime, stime, cutime, cstime of proc(5)


#: The share of one processor that may be used between calls for as long as one likes: what a call
#: leaves to be done, a thread that looks at something now and then.
_FORGIVEN = 0.1


class _Meter:
    """Seconds that `read` tells, for the call that goes on, and for all that is between calls."""

    __slots__ = ("between", "read", "start")

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read
        self.start = read()  # of this call, or what is behind the last one
        self.between = 0.0

    def begin(self, forgiven: float) -> float:
        now = self.read()
        self.between = max(0.0, self.between + max(0.0, now - self.start) - forgiven)
        self.start = now
        return now

    def end(self) -> float:
        before, self.start = self.start, self.read()
        return max(0.0, self.start - before)

    def beyond(self, limit: float, in_call: bool, forgiven: float) -> bool:
        spent = self.read() - self.start
        together = self.between if in_call else self.between + spent - forgiven
        return spent > limit or together > limit


class Clocks:
    """`begin` and `end` frame a call. What is used outside of calls is counted together, whatever
    calls come between, and has the same limit of processor time, and none by the clock."""

    def __init__(self, pid: int, limits: Limits, group: Group | None) -> None:
        self._pid = pid
        self._clock = (~pid << 3) | _PROCESS_CLOCK
        self._limits = limits
        self._group = group
        self._deadline = 0.0  # 0: no call
        self._used = 0.0  # at the end, when the process is gone
        self._over = False
        #: what the process is held by since its birth, where somebody holds it
        self.process: Process | None = None
        self._own: tuple[Clocks, ...] = ()  # of its own sandboxes
        self._former = 0.0  # what those used that have ended
        self._charging = threading.Lock()
        self._meters = [_Meter(self.used)]
        # where it may start processes and no group counts them, all beneath its init are counted
        init = parent_of(pid) if group is None and limits.processes > 1 else 0
        if init:
            tasks = limits.processes + limits.threads
            self._meters.append(_Meter(lambda: seconds_beneath(init, tasks) + self._charged()))
        self._since = time.monotonic()  # when what is forgiven was last counted
        self._fence = float(cpu_fence(limits.cpu))

    def used(self) -> float:
        """Seconds of processor time of the guest's whole life, and of its own sandboxes'."""
        if not self._over:
            try:
                if self._group is not None:
                    self._used = self._group.seconds()
                else:
                    self._used = time.clock_gettime(self._clock)
            except OSError:  # it has ended: what was last read stands
                self._over = self._group is None
        return self._used + self._charged() if self._own else self._used

    def ended(self, seconds: float) -> None:
        """It has ended, and that is what it used: another process may get its number."""
        self._over, self._used = True, max(self._used, seconds)
        self.process = None

    def charge(self, inner: Clocks) -> None:
        """From here on what `inner` uses counts as this guest's own."""
        with self._charging:
            gone = tuple(one for one in self._own if one._over)
            self._own = (*(one for one in self._own if one not in gone), inner)
            self._former += sum(one.used() for one in gone)

    def _charged(self) -> float:
        if not self._own:
            return 0.0
        with self._charging:
            return self._former + sum(one.used() for one in self._own)

    def lower(self, limits: Limits) -> None:
        """The guest has lower limits from now on."""
        self._limits = limits

    @property
    def in_call(self) -> bool:
        """Is the guest asked at the moment?"""
        return self._deadline > 0

    def begin(self, deadline: float) -> float:
        """A call begins that is to end by `deadline` (monotonic); the processor time before."""
        now = time.monotonic()
        forgiven, self._since = _FORGIVEN * (now - self._since), now
        before = [meter.begin(forgiven) for meter in self._meters]
        self._deadline = deadline
        return before[0]

    def end(self) -> float:
        """The call has ended; the processor time that it used."""
        self._deadline = 0.0
        return max(meter.end() for meter in self._meters)

    def over(self, now: float) -> str:
        """`wall` or `cpu`, where that limit is used up; else nothing."""
        in_call = self._deadline > 0
        if in_call and now > self._deadline:
            return "wall"
        forgiven = _FORGIVEN * (now - self._since)
        if any(meter.beyond(self._limits.cpu, in_call, forgiven) for meter in self._meters):
            return "cpu"
        used = self.used()
        if used > self._fence / 2:
            self._raise_fence(used)
        return ""

    def _raise_fence(self, used: float) -> None:
        import resource

        self._fence = 2 * used + cpu_fence(self._limits.cpu)
        pid, kind = self._pid, resource.RLIMIT_CPU
        process = None if self._over else self.process or _held(pid)
        ended = process is None or process.ended
        if process is None or ended:
            return  # the number may be another's by now, and there is no prlimit(2) by descriptor
        try:
            before, hard = resource.prlimit(pid, kind)
            soft = int(self._fence)
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
            resource.prlimit(pid, kind, (soft, hard))
            if process.ended and resource.prlimit(pid, kind)[0] == soft:
                resource.prlimit(pid, kind, (before, hard))  # whose it has become meanwhile
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


def _held(pid: int) -> Process | None:
    """The process of that number, if it is one that this host process led to."""
    from belljar.sandbox.live.processes import Process, is_beneath

    try:
        process = Process(pid)
    except OSError:
        return None
    return process if is_beneath(pid, os.getpid()) else None


def parent_of(pid: int) -> int:
    """The process that `pid` is a child of; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read(_SIZE).rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def seconds_beneath(pid: int, tasks: int = 0) -> float:
    """Processor time of all processes that descend from `pid`, and of those that they waited for.
    0 for what ends meanwhile; children that nobody waits for are lost with their end (proc(5))."""
    orphans = process_seconds(pid, _WAITED_FOR)  # of init itself what it waited for
    return orphans + sum(map(process_seconds, processes_beneath(pid, tasks)))


def process_seconds(pid: int, fields_of: slice = _ALL) -> float:
    """Processor time of a process, and of the children that it waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(_SIZE).rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[fields_of])) / _TICKS


def processes_beneath(pid: int, tasks: int = 0) -> set[int]:
    """All processes that descend from `pid`, at the moment (proc(5), children); `tasks` is how many
    there may be, which the kernel sees to: who makes and ends them all the time is not followed
    for ever."""
    seen = {pid}
    rest = [pid]
    most = tasks + _MOST_MORE
    while rest and len(seen) < most:
        parent = rest.pop()
        try:
            for thread in os.listdir(f"{_PROC}/{parent}/task"):
                with open(f"{_PROC}/{parent}/task/{thread}/children", "rb") as file:
                    children = {int(child) for child in file.read().split()} - seen
                seen |= children
                rest += children
        except OSError:
            continue
    return seen - {pid}
