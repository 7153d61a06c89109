"""What the cross-check remembers of each process and thread, bounded."""

from __future__ import annotations

from collections import Counter, deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.events.syscalls import Syscall
    from belljar.watch.match import Seen

RECENT: Final = 8
_STARTS: Final = 16


class Thread:
    """A thread's last events, newest first, and the calls that wait for its next one."""

    __slots__ = ("calls", "last", "recent")

    def __init__(self) -> None:
        self.recent: deque[Seen] = deque(maxlen=RECENT)
        self.last: Seen | None = None
        self.calls: list[Syscall] = []


class Process:
    """What is known of a process. `state` is `fresh` (a child of a Python before its exec),
    `program` (executed, and silent so far) or `python`. `trying` is what it is executing: whether
    that worked only shows by what comes next.
    """

    def __init__(self, start: int, state: str) -> None:
        self.start, self.state = start, state
        self.program = self.trying = ""
        self.accounted = True  # was it started by something that we know of?
        self.spoke = False  # has it raised an event?
        self.before: Counter[str] = Counter()  # calls of a program that is silent
        self.samples: list[Syscall] = []
        self.threads: dict[int, Thread] = {}
        self.ours: deque[Seen] = deque(maxlen=_STARTS)  # what the recorder saw by itself
        self.starts: deque[Seen] = deque(maxlen=_STARTS)
        self.databases: dict[str, None] = {}
        self.last: Seen | None = None
