"""A record for each process that was watched: what it is, who started it, when and how it ended.

What a process says of itself (its arguments, its interpreter) is hostile text; numbers of
processes come again, and anybody can invent some: kept is a bounded number, the rest is counted.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from belljar.events.decode import Hello
    from belljar.watch.ends import End
    from belljar.watch.findings import Finding

_MOST: Final = 4096
_MOST_WORDS: Final = 64


class Process:
    """One incarnation: from a start, a fork or an exec to the end or the next exec.

    `began` and `ended` are nanoseconds since 1970 by the process's clock (`ended` is 0 while it
    runs), `start` is in clock ticks since the machine's boot. `how` it ended: "" (not yet), `bye`
    (in order), `exec` (it became another program), `vanished` (without a farewell), `running`
    (when the record was closed). `end` is by which signal or with which status (`SIGKILL from 12`,
    `exit status 2`), empty for 0 and where nobody knows. `events` are all that it announced,
    `chosen` those asked for.
    """

    def __init__(self, hello: Hello) -> None:
        head = hello.header
        self.pid: int = head.pid
        self.ppid: int = hello.ppid
        self.argv: tuple[str, ...] = hello.argv[:_MOST_WORDS]
        self.python: str = hello.python
        self.executable: str | None = hello.executable
        self.cwd: str | None = hello.cwd
        self.uid: int = hello.uid
        self.start: int = hello.start
        self.forked: bool = hello.forked
        self.began: int = head.time
        self.ended = 0
        self.events = self.chosen = 0
        self.how = self.end = ""


class Processes:
    """Follows processes by their hellos and byes; `all` holds them in the order of their start.

    `seen` counts them all, also those that were too many to keep.
    """

    def __init__(self) -> None:
        self.all: list[Process] = []
        self.seen = 0
        self._now: dict[int, Process] = {}

    def hello(self, hello: Hello) -> Process:
        """A process began, or became another program."""
        process = Process(hello)
        before = self._now.get(process.pid)
        if before is not None and before.how in ("", "bye"):
            same = not process.forked and process.start == before.start
            if before.how == "":
                before.how = "vanished"
            elif same and process.ppid == before.ppid:
                before.how = "exec"
        self.seen += 1
        if len(self.all) < _MOST:
            self.all.append(process)
            self._now[process.pid] = process
        else:
            self._now.pop(process.pid, None)
        return process

    def bye(self, pid: int, seq: int, time: int) -> None:
        """A process said farewell after event `seq`."""
        process = self._now.get(pid)
        if process is not None:
            process.events, process.ended, process.how = seq, time, "bye"

    def event(self, pid: int, seq: int, time: int) -> None:
        """A process announced event `seq`; after a farewell it means that an exec failed."""
        process = self._now.get(pid)
        if process is not None:
            process.events, process.ended, process.how = seq, time, ""

    def choose(self, pid: int) -> None:
        """The latest event of a process is one of those that were asked for."""
        process = self._now.get(pid)
        if process is not None:
            process.chosen += 1

    def settle(self, findings: Iterable[Finding], ends: Iterable[End] = ()) -> None:
        """Nothing more will come: what was found of those that did not say farewell, and what is
        known of how they ended."""
        for end in ends:
            process = self._now.get(end.pid)
            if process is not None and process.start == end.start and (end.signal or end.status):
                process.end = str(end)
        for finding in findings:
            process = self._now.get(finding.pid)
            if process is not None and finding.kind in ("vanished", "running"):
                process.how = finding.kind

    def tree(self) -> list[tuple[int, Process]]:
        """Every process with its depth, children after their parents."""
        children: dict[int, list[Process]] = {}
        roots: list[Process] = []
        earlier: set[int] = set()
        for process in self.all:
            if process.pid in earlier:  # the same process, after an exec
                children.setdefault(process.pid, []).append(process)
            elif process.ppid in earlier:
                children.setdefault(process.ppid, []).append(process)
            else:
                roots.append(process)
            earlier.add(process.pid)
        found: list[tuple[int, Process]] = []
        waiting = [(0, process) for process in reversed(roots)]
        told: set[int] = set()
        while waiting:
            depth, process = waiting.pop()
            found.append((depth, process))
            if process.pid not in told:
                told.add(process.pid)
                below = children.get(process.pid, [])
                waiting += [(depth + 1, child) for child in reversed(below)]
        return found
