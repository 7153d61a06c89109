"""One run of a ledger, studied: its events through the learner, with the host's facts."""

from __future__ import annotations

import os
import sys

from belljar.confine.cache import cache_directory
from belljar.confine.host import facts
from belljar.confine.program import Program
from belljar.errors import BelljarError, LedgerError
from belljar.events.catalogue import ROWS
from belljar.ledger import EVENTS
from belljar.ledger.entries import expand
from belljar.ledger.runs import records
from belljar.model import Event, Frame, Policy, Value
from belljar.policy.learn import Learner
from belljar.policy.plain import from_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.ledger.reader import Record
    from belljar.ledger.runs import Run
    from belljar.policy.facts import Facts
    from belljar.policy.items import Learned

#: Options of `python` that take a value of their own.
_WITH_VALUE: Final = ("-X", "-W", "--check-hash-based-pycs")
_PATHS: Final = ("read", "list", "write", "append", "execute")
_HEAD: Final = 32
_EVENT: Final = 2
_RIGHTS: Final = (*_PATHS, "connect", "bind", "resolve", "run", "import", "native")
#: Events that a policy is about; the others are passed over.
_TELLING: Final = frozenset(
    [row[0].encode() for row in ROWS if row[2] in _RIGHTS or row[0].startswith("cpython.run_")]
    + [b"os.chdir", b"os.fork", b"os.forkpty", b"belljar.begin", b"builtins.input"]
    + [b"tempfile.mkstemp", b"tempfile.mkdtemp"]
)


class Lesson(Value):
    """What was learned: the policy, the program it is for, the kind of record (`run` has a policy
    already), how it ended, and what is amiss with it."""

    learned: Learned
    program: Program
    kind: str
    events: int
    denied: int
    status: int | None
    amiss: tuple[str, ...]


def study(directory: str, run: Run, *, reads_input: bool = False) -> Lesson:
    """Learn from `run`, of the ledger in `directory`.

    Raises `LedgerError` when the ledger cannot be read or is flawed.
    """
    return _Study(directory, run).read(reads_input)


class _Study:
    def __init__(self, directory: str, run: Run) -> None:
        self._directory = directory
        self._run = run
        self._base: Policy | None = None
        self._learner: Learner | None = None
        self._program: Program | None = None
        self._amiss: list[str] = []
        self._mapped: tuple[tuple[str, str], ...] = ()
        self._alive: set[int] = set()
        self._status: int | None = None
        self._events = self._denied = self._peak = self._broken = 0

    def read(self, reads_input: bool) -> Lesson:
        if self._run.kind == "run":
            self._begin_run()
        ended = False
        for record in records(self._directory, self._run):
            for entry in expand(self._telling(record)):
                ended = ended or entry.kind == "end"
                self._entry(entry)
        if self._learner is None or self._program is None:
            raise LedgerError(f"run {self._run.run.hex()[:8]} holds no event to learn from")
        if not ended:
            self._amiss.append("the record has no end: it was killed, or is still running")
        if self._broken:
            self._amiss.append(f"entries of the record that could not be decoded: {self._broken}")
        learner = self._learner
        learner.peak, learner.reads_input = max(1, self._peak), reads_input
        return Lesson(
            learner.finish(), self._program, self._run.kind, self._events, self._denied,
            self._status, tuple(self._amiss),
        )  # fmt: skip

    def _telling(self, record: Record) -> Record:
        """`record` without the events that no policy is about: most of them, and decoding one
        takes ten times as long as passing it over. A broken record stays as it is."""
        if record.kind != EVENTS:
            return record
        data, at, count, passed = record.payload, 0, 0, 0
        kept: list[bytes] = []
        while at + _HEAD < len(data):
            size = data[at + 2] | data[at + 3] << 8
            if not _HEAD + 2 < size <= len(data) - at:
                break
            word = data[at + _HEAD + 1]  # the name follows the body's own first byte
            name = data[at + _HEAD + 2 : at + _HEAD + 2 + (word & 0x1F)]
            if data[at + 4] == _EVENT and word & 0xE0 == 0xA0 and name not in _TELLING:
                passed += 1
            else:
                kept.append(data[at : at + size])
            at += size
            count += 1
        if at != len(data) or count != record.count:
            return record
        self._events += passed
        return record.replace(count=len(kept), payload=b"".join(kept))

    def _begin_run(self) -> None:
        data = self._run.data
        self._base = from_plain(data.get("effective"))
        if self._base is None:
            raise LedgerError("this run was recorded by a Belljar that kept no policy with it")
        kind, target = _two(data.get("program"))
        words = tuple(word for word in data.get("argv") or () if isinstance(word, str))
        python = data.get("interpreter")
        cwd = data.get("cwd")
        self._program = Program(
            kind if kind in ("script", "code", "module") else "code", target, words,
            cwd if isinstance(cwd, str) and cwd.startswith("/") else "/", (),
            python if isinstance(python, str) else None,
        )  # fmt: skip
        pairs = [_two(pair) for pair in data.get("mapped") or ()]
        self._mapped = tuple(pair for pair in pairs if pair[0] and pair[1])
        found = self._facts(self._program).replace(private=(), given=Policy())
        self._learner = Learner(found, self._base)

    def _facts(self, program: Program) -> Facts:
        own = tuple(p for p in (os.path.abspath(self._directory), cache_directory()) if p)
        try:
            found, problem = facts(program, self._run.time, own)
        except (BelljarError, OSError, ValueError) as error:  # ValueError: a NUL in a name
            self._amiss.append(f"its interpreter is not known ({error}): ours stands for it")
            cwd = "/" if "\0" in program.cwd else program.cwd
            program = program.replace(kind="code", python=sys.executable, cwd=cwd)
            found, problem = facts(program, self._run.time, own)
        if problem:
            self._amiss.append(f"`belljar run` could not run it as it is: {problem}")
        return found

    def _entry(self, entry: Any) -> None:
        data = entry.data
        if entry.kind == "hello":
            self._hello(data)
        elif entry.kind == "bye":
            self._alive.discard(entry.pid)
        elif entry.kind == "event" and self._learner is not None:
            self._events += 1
            self._learner.add(data)
        elif entry.kind == "decision" and self._base is not None and self._learner is not None:
            if data.get("kind", "denial") == "denial":
                self._deny(self._learner, entry)
        elif entry.kind == "end":
            status = data.get("status")
            self._status = status if type(status) is int else None
            lost = sum(n for k in ("drops", "missed", "unkept") if type(n := data.get(k)) is int)
            if lost:
                self._amiss.append(f"{lost} events were lost or not kept: the policy may lack some")
        elif entry.kind == "broken":
            self._broken += 1

    def _hello(self, hello: Any) -> None:
        pid = hello.header.pid
        self._alive.add(pid)
        self._peak = max(self._peak, len(self._alive))
        if self._learner is None:
            self._program = program_of(hello, self._run.data.get("argv"))
            self._learner = Learner(self._facts(self._program))
        if not hello.forked:
            self._learner.started(pid)

    def _deny(self, learner: Learner, entry: Any) -> None:
        row = entry.data
        right, target = row.get("right"), row.get("target")
        if not isinstance(right, str) or not isinstance(target, str) or row.get("rule"):
            return
        self._denied += 1
        if right in _PATHS:
            target = host_path(target, self._mapped)
        name, pid, seq = row.get("event"), row.get("pid"), row.get("seq")
        learner.add(
            Event(
                seq if type(seq) is int else 0, entry.time, pid if type(pid) is int else 0, 0,
                name if isinstance(name, str) and name != "belljar.denied" else "", (),
                right, target, target, _stack(row.get("at"), self._mapped),
            ),
            denied=True,
        )  # fmt: skip


def program_of(hello: Any, argv: object) -> Program:
    """The program that a Python of that greeting ran; `argv` is the command that was watched.

    >>> from belljar.events.decode import Header, Hello
    >>> head = Header(1, 0, 7, 7, 0, 0)
    >>> hello = Hello(head, "3.13.0", 1, ("python3", "-X", "dev", "a.py", "x"), "/srv", 0, False)
    >>> program_of(hello, None).target
    'a.py'
    """
    words = list(hello.argv)
    python = getattr(hello, "executable", None)
    first = argv[0] if isinstance(argv, list) and argv and isinstance(argv[0], str) else ""
    if "/" in first and os.path.basename(first).startswith("python"):
        python = first  # the environment's own, where the executable is what it links to
    elif not python:
        python = words[0] if words else sys.executable
    cwd = hello.cwd or "/"
    rest = words[1:]
    while rest:
        word = rest.pop(0)
        if word in _WITH_VALUE and rest:
            rest.pop(0)
        elif word.startswith("-") and not word.startswith("--") and word[-1] in "cm" and rest:
            kind = "code" if word[-1] == "c" else "module"
            return Program(kind, rest[0], tuple(rest[1:]), cwd, (), python)
        elif not word.startswith("-"):
            return Program("script", word, tuple(rest), cwd, (), python)
    return Program("code", "", (), cwd, (), python)


def host_path(target: str, mapped: tuple[tuple[str, str], ...]) -> str:
    """What the host calls the path that a guest knows as `target`."""
    for guest, host in mapped:
        if target == guest or target.startswith(f"{guest}/"):
            return host + target[len(guest) :]
    return target


def _two(pair: object) -> tuple[str, str]:
    if isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair):
        return pair[0], pair[1]
    return "", ""


def _stack(at: object, mapped: tuple[tuple[str, str], ...]) -> tuple[Frame, ...]:
    if isinstance(at, list) and len(at) == 3:
        file, line, function = at
        if isinstance(file, str) and type(line) is int and isinstance(function, str):
            return (Frame(host_path(file, mapped), line, function),)
    return ()
