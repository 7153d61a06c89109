"""Interpreters that were started and of which nothing was heard.

The recorder speaks from CPython 3.8 on, and only where its environment was handed on. A Python 2.7,
or one started with an empty environment, does what it does unseen: that must be told.
"""

from __future__ import annotations

import os

from belljar.watch.findings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.events.decode import Hello
    from belljar.model import Event

    Words = tuple[str, ...]

_MOST: Final = 1024
_LONGEST_WORD: Final = 200  # longer ones may have been cut on their way
_MOST_WORDS: Final = 24
#: Programs that become another one, which is among their words.
_WRAPPERS: Final = frozenset(
    ("chrt", "doas", "env", "ionice", "nice", "nohup", "setsid", "stdbuf", "sudo", "taskset",
     "time", "timeout")
)  # fmt: skip
_STARTS: Final = ("subprocess.Popen", "os.exec", "os.posix_spawn", "belljar.exec")


class Unheard:
    """Give it every start and every hello; `findings` are the starts that none answered.

    Bounded: where more than 1,024 starts and hellos came, it does not judge.
    """

    def __init__(self) -> None:
        self._started: dict[tuple[int, Words], dict[str, None]] = {}
        self._heard: dict[tuple[int, Words], set[tuple[int, str, str]]] = {}
        self._kept = 0

    def started(self, pid: int, start: tuple[str, Words]) -> None:
        """Process `pid` is about to start what `start_of` found."""
        if self._kept < _MOST:
            self._kept += 1
            self._started.setdefault((pid, start[1]), {})[start[0]] = None

    def hello(self, hello: Hello) -> None:
        """An interpreter speaks: a child of the process that started it, or that process itself."""
        if hello.forked or self._kept >= _MOST:
            return
        self._kept += 1
        who = (hello.header.pid, hello.argv[0] if hello.argv else "", hello.executable or "")
        for pid in {hello.ppid, hello.header.pid}:
            self._heard.setdefault((pid, hello.argv[1:]), set()).add(who)

    def findings(self) -> list[Finding]:
        """The interpreters that are there, were started, and did not say hello."""
        if self._kept >= _MOST:
            return []
        found = []
        for key, programs in self._started.items():
            heard = self._heard.get(key, set())
            names = {name for _, *both in heard for name in both}
            left = [p for p in programs if p not in names and os.path.realpath(p) not in names]
            spare = len(heard) - (len(programs) - len(left))  # a shim: another name, but it spoke
            found += [
                Finding("unheard", key[0], 0, 0, _told(key[0], program))
                for program in left[max(0, spare) :]
                if _is_there(program)
            ]
        return found


def start_of(event: Event) -> tuple[str, Words] | None:
    """The program and the words behind it, where `event` starts what looks like a Python.

    >>> from belljar.model import Event
    >>> start_of(Event(1, 0, 7, 7, "os.exec", ("/usr/bin/python2.7", ("python2.7", "a.py"), None)))
    ('/usr/bin/python2.7', ('a.py',))
    """
    if event.name not in _STARTS or len(event.args) < 2:
        return None
    program, words = event.args[0], event.args[1]
    if type(program) is not str and type(words) is tuple and words:
        program = words[0]
    if type(program) is not str or type(words) is not tuple or not 0 < len(words) <= _MOST_WORDS:
        return None
    plain = [word for word in words if type(word) is str and len(word) <= _LONGEST_WORD]
    if len(plain) < len(words):
        return None
    if program.rpartition("/")[2] in _WRAPPERS:
        while plain and not _is_python(plain[0]):
            del plain[0]
        program = plain[0] if plain else ""
    return (program, tuple(plain[1:])) if _is_python(program) else None


def _is_python(program: str) -> bool:
    return program.rpartition("/")[2].rstrip("0123456789.dmt") in ("python", "pypy")


def _told(pid: int, program: str) -> str:
    return (
        f"process {pid} started {program}, of which nothing was heard: the recorder needs CPython"
        " 3.8 or later and the environment that belljar gave"
    )


def _is_there(program: str) -> bool:
    """A start that can only have failed is no gap in the record."""
    if "/" in program:
        return not program.startswith("/") or os.path.exists(program)
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return any(os.path.exists(os.path.join(place, program)) for place in places)
