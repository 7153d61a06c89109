"""The kernel's view of a watched tree against the record: which system calls no event explains.

The tracer (`prefix`) writes a frame for each call into the FIFO before it lets the call go on,
and the recorder one for each event before its operation: in the FIFO the frames of a thread
stand in the order in which things happened. Memory is bounded: for each thread its last events,
for each process its last starts, and so many groups of what is unexplained.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from itertools import islice

from belljar._native import TRACER
from belljar.errors import GuestProtocolError
from belljar.events.syscalls import SYSCALL, Syscall, decode_syscall
from belljar.watch.coverage import assemble
from belljar.watch.findings import Finding
from belljar.watch.match import (
    STARTS,
    Seen,
    database,
    explain,
    is_housekeeping,
    name_of,
    recorded,
    starts,
)
from belljar.watch.tree import Process, Thread
from belljar.watch.unexplained import Groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.watch.collect import Chunk
    from belljar.watch.coverage import Coverage

#: Frames of the stack that events should carry, so that the place of a call can be told well.
STACKS: Final = 16
_HELLO, _EVENT = 1, 2
_FORKED: Final = 8
_HEADER: Final = 32
_MOST_PROCESSES: Final = 4096
_MOST_THREADS: Final = 4096
_MOST_WAITING: Final = 256
_MOST_PROGRAMS: Final = 500
_MOST_DATABASES: Final = 64
_MOST_SAMPLES: Final = 8
_MOST_QUEUED: Final = 64 << 20
_FRAMES_AT_ONCE: Final = 200
_OWN_FILES: Final = frozenset(("channel", "page", "answers", "settings", "window"))


def prefix() -> tuple[str, ...]:
    """The words to put before a command's own, so that it is cross-checked (`run.watch`)."""
    return (TRACER, "-", "--")


class CrossCheck:
    """Takes a record's chunks as they come (`take`), matches them when there is time (`work`); at
    the end `report` says what was covered.

    >>> CrossCheck().report().rows
    ()
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._processes: dict[int, Process] = {}  # the longest without a call first
        self._order: deque[tuple[Process, int]] = deque()  # threads, the oldest first
        self._seen: Counter[str] = Counter()
        self._explained: Counter[tuple[str, str]] = Counter()
        self._attributed: Counter[tuple[str, str]] = Counter()
        self._others: Counter[tuple[str, str]] = Counter()
        self._groups = Groups()
        self._waiting: deque[bytes] = deque()
        self._size = self._at = 0
        self._directory = ""
        self._tracer = self._number = 0
        self._broken = 0
        self._ended = False
        self._forgotten = False

    def take(self, chunk: Chunk) -> None:
        """One chunk of the record, kept until there is time (`work`): matching costs ten times
        what recording does.
        """
        self._waiting.append(chunk.data)
        self._size += len(chunk.data)
        while self._size > _MOST_QUEUED and self.work():
            continue

    def work(self) -> bool:
        """Match some of what waits; False when nothing is left."""
        if not self._waiting:
            return False
        data, at = self._waiting[0], self._at
        for _ in range(_FRAMES_AT_ONCE):
            if at + _HEADER > len(data):
                break
            length = max(int.from_bytes(data[at + 2 : at + 4], "little"), _HEADER)
            self.frame(data[at : at + length])
            at += length
        self._at = at
        if at + _HEADER > len(data):
            self._size -= len(data)
            self._at = 0
            self._waiting.popleft()
        return True

    def frame(self, frame: bytes) -> None:
        """One whole frame, for a caller who walks them anyway."""
        kind = frame[4]
        if kind == _EVENT:
            self._event(frame)
        elif kind == SYSCALL:
            try:
                self.call(decode_syscall(frame))
            except GuestProtocolError:
                self._broken += 1
        elif kind == _HELLO:
            self._hello(frame[:_HEADER])

    def call(self, call: Syscall) -> None:
        """One system call."""
        if not self._counted(call) or call.kind == "remark":
            return
        self._seen[call.kind] += 1
        process = self._process_of(call)
        if self._directory and call.kind == "open" and self._is_ours(call):
            self._attributed[call.kind, "the recorder's own files"] += 1
            return
        if call.kind == "exec":
            self._exec(process, call)
            return
        if process.trying:  # it worked, it seems
            self._finish(process)
            process.state, process.program, process.trying = "program", process.trying, ""
        if process.state == "python":
            thread = self._thread(process, call.thread)
            thread.calls.append(call)
            if len(thread.calls) > _MOST_WAITING:
                self._decide(process, thread, len(thread.calls) // 2)
        elif process.state == "program":
            process.before[call.kind] += 1
            if not process.accounted and len(process.samples) < _MOST_SAMPLES:
                process.samples.append(call)
        elif call.asked == "/proc/self/stat":  # for the greeting
            self._attributed[call.kind, "the recorder's own files"] += 1
        elif is_housekeeping(call):
            self._attributed[call.kind, "setting up a child"] += 1
        else:
            self._report(call, process)

    def report(self) -> Coverage:
        """What was found; to be asked for once, at the end."""
        while self.work():
            continue
        for process in list(self._processes.values()):
            self._finish(process)
        self._processes.clear()
        if self._tracer and not self._ended:
            text = "the cross-check's supervisor was killed: what followed was not seen"
            self._find(text)
        if self._broken:
            self._find(f"{self._broken} frames of the cross-check could not be decoded")
        if self._forgotten:
            self._find("more processes than the cross-check can follow")
        return assemble(self._seen, self._explained, self._attributed, self._others, self._groups)

    # What comes

    def _hello(self, head: bytes) -> None:
        pid = int.from_bytes(head[8:12], "little")
        process = self._processes.get(pid)
        if head[5] & _FORKED or process is None:
            start = process.start if process is not None and process.state == "fresh" else 0
            if process is not None and not start:
                self._finish(process)
            process = self._keep(pid, Process(start, "python"))
            process.spoke = bool(head[5] & _FORKED)
            return
        for kind, count in process.before.items():
            self._attributed[kind, "the dynamic loader, before Python starts"] += count
        fresh = Process(process.start, "python")
        fresh.program = process.trying or process.program
        process.before.clear()
        self._finish(process)
        self._keep(pid, fresh)

    def _event(self, frame: bytes) -> None:
        pid = int.from_bytes(frame[8:12], "little")
        process = self._processes.get(pid)
        if process is None:
            process = self._keep(pid, Process(0, "python"))
        if process.state != "python" or process.trying:  # what it executed was not executed
            for kind, count in process.before.items():
                self._attributed[kind, "after an exec that failed"] += count
            process.before.clear()
            process.state, process.trying = "python", ""
        time = int.from_bytes(frame[24:32], "little")
        name = name_of(frame)
        thread = self._thread(process, int.from_bytes(frame[12:16], "little"))
        seen = Seen(name, time, frame)
        if name.startswith("belljar."):  # the recorder speaks, not the interpreter
            process.ours.appendleft(seen)
            return
        if thread.calls:
            earlier = sum(1 for call in thread.calls if call.time <= time)
            self._decide(process, thread, earlier, seen)
        process.spoke = True
        thread.last = process.last = seen
        thread.recent.appendleft(seen)
        if name in STARTS:
            process.starts.appendleft(seen)
        elif name == "sqlite3.connect" and len(process.databases) < _MOST_DATABASES:
            file = database(seen)
            if file:
                process.databases[file] = process.databases[os.path.realpath(file)] = None

    # What follows from it

    def _decide(
        self, process: Process, thread: Thread, count: int | None = None, after: Seen | None = None
    ) -> None:
        """The first `count` calls that wait in the thread: explained, attributed or neither."""
        count = len(thread.calls) if count is None else count
        calls, thread.calls = thread.calls[:count], thread.calls[count:]
        follows = after.name if after is not None else ""
        for call in calls:
            if call.kind in ("io_uring", "foreign"):
                self._report(call, process, thread, after)
                continue
            reason = explain(call, thread.recent, follows, process.databases)
            if reason is not None:
                self._explained[call.kind, reason] += 1
            elif not process.spoke:
                self._attributed[call.kind, "the interpreter, before its first event"] += 1
            elif is_housekeeping(call):
                self._attributed[call.kind, "the C library's own reading"] += 1
            else:
                self._report(call, process, thread, after)

    def _exec(self, process: Process, call: Syscall) -> None:
        """A process is about to become another program."""
        if self._is_first(call):
            self._attributed[call.kind, "the command itself"] += 1
        elif process.state == "program":  # no event is due where one program starts another
            process.before[call.kind] += 1
        else:
            reason = self._started(process, call)
            process.accounted = reason is not None
            if reason is not None:
                self._explained[call.kind, reason] += 1
            elif self._report(call, process, process.threads.get(call.thread)):
                process.accounted = True
        process.trying = call.target

    def _started(self, process: Process, call: Syscall) -> str | None:
        reason = None
        for thread in process.threads.values():
            self._decide(process, thread)
        own = process.threads.get(call.thread)
        if own is not None:
            reason = starts(call, [s for s in own.recent if s.name == "os.exec"], call.pid)
        parent = self._processes.get(call.ppid)
        if reason is None and parent is not None:
            reason = starts(call, parent.starts, call.pid)
        return reason

    def _report(
        self,
        call: Syscall,
        process: Process,
        thread: Thread | None = None,
        after: Seen | None = None,
    ) -> bool:
        """No event of Python explains this call. Has the recorder seen it?"""
        seen = thread.last if thread is not None else None
        elsewhere = seen is None
        parent = self._processes.get(call.ppid)
        if seen is None:
            seen = process.last or (parent.last if parent is not None else None)
        ours = recorded(call, process.ours)
        if not ours and parent is not None and process.state == "fresh":
            ours = recorded(call, parent.ours)  # a vfork child speaks by its parent's mouth
        self._groups.add(call, seen, elsewhere, after, process.program, ours)
        return bool(ours)

    def _finish(self, process: Process) -> None:
        """A process, or what it was before an exec, is over."""
        for thread in process.threads.values():
            self._decide(process, thread)
        if not process.before:
            return
        if process.accounted:
            known = len({program for program, _ in self._others}) < _MOST_PROGRAMS
            program = process.program if known else "more programs"
            for kind, count in process.before.items():
                self._others[program, kind] += count
                self._attributed[kind, "programs that are not Python"] += count
        else:
            for call in process.samples:
                self._report(call, process)
                process.before[call.kind] -= 1
            for kind, count in process.before.items():
                self._groups.lost(kind, count)
        process.before.clear()

    # Bookkeeping

    def _counted(self, call: Syscall) -> bool:
        """Follow the tracer's own numbers: frames that are not its own betray themselves."""
        if call.name == "begin" and not self._tracer:
            self._tracer, self._number = call.pid, call.seq
            self._directory = call.target.rpartition("/")[0]
            return True
        if call.seq != self._number + 1:
            self._find(
                f"the cross-check's frame {self._number + 1} was due where {call.seq} came: "
                "frames were lost or forged"
            )
        self._number = call.seq
        if call.name == "end":
            self._ended = True
            if call.number:
                self._find("the program left processes behind that were not cross-checked")
        return True

    def _is_first(self, call: Syscall) -> bool:
        return call.ppid == self._tracer != 0 and call.seq == 2

    def _is_ours(self, call: Syscall) -> bool:
        directory, _, name = call.target.rpartition("/")
        return directory == self._directory and name in _OWN_FILES

    def _process_of(self, call: Syscall) -> Process:
        process = self._processes.get(call.pid)
        if process is not None and call.start:
            if not process.start:
                process.start = call.start
            elif process.start != call.start:  # the number was given again
                self._finish(process)
                process = None
        if process is not None:
            self._processes[call.pid] = self._processes.pop(call.pid)
            return process
        parent = self._processes.get(call.ppid)
        if parent is None or parent.state == "python":
            return self._keep(call.pid, Process(call.start, "fresh"))
        process = self._keep(call.pid, Process(call.start, "program"))
        process.program, process.accounted = parent.program, parent.accounted
        return process

    def _keep(self, pid: int, process: Process) -> Process:
        if len(self._processes) >= _MOST_PROCESSES and pid not in self._processes:
            for old in list(islice(self._processes, _MOST_PROCESSES // 4)):
                self._finish(self._processes.pop(old))
            self._forgotten = True
        self._processes[pid] = process
        return process

    def _thread(self, process: Process, number: int) -> Thread:
        thread = process.threads.get(number)
        if thread is None:
            thread = process.threads[number] = Thread()
            self._order.append((process, number))
            if len(self._order) > _MOST_THREADS:
                owner, oldest = self._order.popleft()
                gone = owner.threads.pop(oldest, None)
                if gone is not None:
                    self._decide(owner, gone)
        return thread

    def _find(self, text: str) -> None:
        if len(self.findings) < 20:
            self.findings.append(Finding("cross-check", 0, 0, 0, text))
