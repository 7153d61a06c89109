"""Rules over a watched program: who set off an alarm, and what an event that waits is told.

Looks at a chunk after the ledger has it, so that an answer means "kept". Decodes only what a rule
could fire for and what waits for an answer. Everything it reads comes from the program: hostile.

A refusal happens in the process itself: a window, not a wall.
"""

from __future__ import annotations

from belljar._native import unskipped
from belljar.errors import GuestProtocolError
from belljar.events.decode import decode, decode_hello
from belljar.events.slots import slot_of
from belljar.model import Event, Rule, Value
from belljar.policy.possible import names_needing
from belljar.policy.untold import texts, unclear
from belljar.watch.history import History

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from belljar.policy.rules import Rules
    from belljar.watch.collect import Chunk

ALLOW, DENY, KILL = 1, 2, 3
_HEADER: Final = 32
_HELLO, _EVENT = 1, 2
_ASK: Final = 16
_VERDICTS: Final = {"deny": DENY, "kill": KILL}
_MOST_FREQUENT: Final = b"open"
_MOST_KEPT: Final = 10_000  # alerts told; a program may set off any number
_MOST_REFUSED: Final = 1 << 16
_MOST_NAMES: Final = 4096
_MOST_QUIET: Final = 1 << 15  # bodies that no rule can fire for, of at most
_LONGEST_QUIET: Final = 512
_MOST_PROGRAMS: Final = 1 << 12
_LONGEST: Final = 127  # of a pattern in the settings


class Alert(Value):
    """A rule that fired. Text from the program: escape it.

    `package` as `Attribution.of` gives it, `program` is the command line of the process where it
    is known, `number` the entry of the record that holds the alert. `refused`: the operation was
    refused, or the process ended before it, as far as the process itself obeys.
    """

    rule: Rule
    event: Event
    package: str
    program: str = ""
    number: int | None = None
    refused: bool = False


class Arbiter:
    """Judges what a watched program does by `rules`, and lets the rights `must_log` wait.

    Give `select` to the recorder's settings, every chunk to `take` once it is in the record. `keep`
    writes an alert into the record and returns its number, `tell` shows it; each is called once
    for the same thing from the same place, `repeated` counts the rest. `answer` is
    `Collector.answer`. With `begin`, rules count from the event of that name on.
    """

    def __init__(
        self,
        rules: Rules,
        must_log: Sequence[str] = (),
        *,
        package_of: Callable[[Event], str],
        tell: Callable[[Alert], None],
        answer: Callable[[int, int, int], object],
        keep: Callable[[Alert], int | None] = lambda _alert: None,
        begin: str = "",
    ) -> None:
        self._rules = rules
        self._package_of, self._tell, self._answer, self._keep = package_of, tell, answer, keep
        self._waits = frozenset(names_needing(must_log))
        self._history = History(rules)
        self._begin = begin.encode()
        self._skip: set[bytes] = set()
        self._skip_frequent: set[bytes] = {_MOST_FREQUENT}
        self._glances: dict[bytes, Callable[[bytes], object] | None] = {}
        self._quiet: set[bytes] = set()
        self._imports: dict[bytes, str] = {}
        self._programs: dict[int, str] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._must_log_rights = tuple(must_log)
        self.alerts: list[Alert] = []
        #: Process and number of events that were refused, the first of them.
        self.refused: set[tuple[int, int]] = set()
        self.repeated = 0
        self.malformed = 0

    @property
    def select(self) -> tuple[tuple[str, str], ...]:
        """The lines of the recorder's settings that the rules and rights need."""
        return selecting(self._rules, self._must_log_rights)

    def take(self, chunk: Chunk, *, kept: bool = True) -> None:
        """Judge the events of `chunk`; answer those that wait. With `kept` False the record could
        not be kept: what must be in it gets no answer, and is refused when its time is over."""
        data = chunk.data
        glance = self._glances.get(_MOST_FREQUENT)
        # of most chunks one look tells that there is nothing in any of their many `open`
        passes = glance is not None and not glance(data)
        places = unskipped(data, self._skip_frequent if passes else self._skip)
        others = [
            place
            for place in chunk.flagged
            if data[place[0] + 4] == _HELLO or data[place[0] + 5] & _ASK
        ]
        if others:
            places = sorted({*places, *others})
        for offset, length in places:
            kind = data[offset + 4]
            if kind == _HELLO:
                self._hello(data[offset : offset + length])
            elif kind == _EVENT:
                self._event(data[offset : offset + length], kept)

    def _hello(self, frame: bytes) -> None:
        try:
            hello = decode_hello(frame)
        except GuestProtocolError:
            self.malformed += 1
            return
        pid = hello.header.pid
        self._history.begins(pid, hello.ppid, forked=hello.forked)
        self._programs.pop(pid, None)
        self._programs[pid] = " ".join(hello.argv)
        if len(self._programs) > _MOST_PROGRAMS:
            self._programs.pop(next(iter(self._programs)))

    def _event(self, frame: bytes, kept: bool) -> None:
        asks = frame[5] & _ASK
        body = frame[_HEADER:]
        if not asks and self._passes(frame, body):
            return
        try:
            event = decode(frame)
            slot = slot_of(frame) if asks else -1
        except GuestProtocolError:
            self.malformed += 1  # who waits for it waits until its time is over
            return
        fired = self._judge(event, body)
        if asks:
            verdict = _VERDICTS.get(fired.then, ALLOW) if fired is not None else ALLOW
            answers = verdict != ALLOW or kept or not self._must_log(event)
            if (verdict != ALLOW or not answers) and len(self.refused) < _MOST_REFUSED:
                self.refused.add((event.pid, event.seq))
            if answers:
                self._answer(slot, event.seq, verdict)

    def _passes(self, frame: bytes, body: bytes) -> bool:
        """Can no rule fire for this frame, as far as its bytes tell?"""
        if body in self._quiet:
            return True
        raw = _raw_name(body)
        if raw is None:
            return False
        if raw == b"import" and self._rules.shadows and body in self._imports:
            pid = int.from_bytes(frame[8:12], "little")
            thread = int.from_bytes(frame[12:16], "little")
            self._history.imports(pid, thread, self._imports[body])
            return True
        if self._begin:
            return raw != self._begin
        if raw in self._glances:
            known = self._glances[raw]
        else:
            name = raw.decode("utf-8", "replace")
            if not self._rules.wants(name):
                if len(self._skip) < _MOST_NAMES:
                    self._skip.add(raw)
                    self._skip_frequent.add(raw)
                return True
            known = self._rules.glance(name)
            if len(self._glances) < _MOST_NAMES:
                self._glances[raw] = known
        return known is not None and not known(body)

    def _judge(self, event: Event, body: bytes) -> Rule | None:
        rules = self._rules
        if self._begin:
            if event.name.encode("utf-8", "replace") == self._begin:
                self._begin = b""
            return None
        if not rules.wants(event.name):
            return None
        if rules.by_package(event.name):
            event = event.replace(package=self._package_of(event))
        fired, possible = self._history.look(event)
        if fired is not None and fired.then != "record":
            self._alarm(fired, event, event.package)
        elif not possible:
            self._remember(event, body)
        return fired

    def _remember(self, event: Event, body: bytes) -> None:
        if len(body) > _LONGEST_QUIET:
            return
        if event.name == "import" and self._rules.shadows:
            if len(self._imports) < _MOST_QUIET:
                name = event.args[0] if event.args else ""
                self._imports[body] = name if type(name) is str else ""
        elif len(self._quiet) < _MOST_QUIET:
            self._quiet.add(body)

    def _alarm(self, rule: Rule, event: Event, package: str | None) -> None:
        if package is None:
            package = self._package_of(event)
        place = event.stack[0] if event.stack else None
        # one start of a program can be several events
        what = event.target or event.asked or event.name
        if event.target is None and (tried := texts(event)):  # one name, looked for in all PATH
            what = tried[0].rpartition("/")[2]
        if event.name == "os.exec":  # one that is tried again failed: os.execvp looks in all PATH
            what = what.rpartition("/")[2]
        key = (rule, event.pid, what, place)
        if key in self._seen or len(self._seen) >= _MOST_KEPT:
            self.repeated += 1
            return
        self._seen.add(key)
        program = self._programs.get(event.pid, "")
        alert = Alert(rule, event, package, program, None, rule.then in _VERDICTS)
        alert = alert.replace(number=self._keep(alert))
        self.alerts.append(alert)
        self._tell(alert)

    def _must_log(self, event: Event) -> bool:
        if event.name != "import" or "import" in self._waits:
            return event.name in self._waits
        # the same lines of the settings may have been asked for by a rule
        native = len(event.args) > 1 and event.args[1] is not None
        return native and "import/native" in self._waits


def because(alert: Alert) -> str:
    """A clause for a person: which rule, and what it did."""
    rule = alert.rule
    which = f"the rule {rule.id}" if rule.id else f"the rule at {rule.origin or 'default'}"
    if alert.refused:
        done = f"{which} {'ends the process' if rule.then == 'kill' else 'forbids it'}"
        lost = unclear(alert.event, rule)
        return f"{done}: {lost}" if lost else done
    return f"{which} fired"


def selecting(rules: Rules, must_log: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The lines of the recorder's settings that rules and rights need: which events wait for an
    answer, and which are kept whatever else is left out.

    >>> from belljar.policy.rules import Rules
    >>> selecting(Rules([Rule("os.system", then="kill")]), ["bind"])
    (('ask', 'os.system'), ('ask', 'socket.bind'))
    """
    asks = dict.fromkeys((*rules.asks(), *names_needing(must_log)))
    keeps = dict.fromkeys((*rules.names(("record", "alert")), *rules.before()))
    lines = [("ask", name) for name in asks]
    lines += [("keep", name) for name in keeps if name not in asks]
    return tuple((key, _cut(name)) for key, name in lines)


def _cut(pattern: str) -> str:
    """`pattern`, or a wider one that the settings can hold."""
    for at, character in enumerate(pattern):
        if at == _LONGEST or not " " <= character <= "~":
            return pattern[:at] + "*"
    return pattern


def _raw_name(body: bytes) -> bytes | None:
    """The name at the head of an event's body, None where it is no short text."""
    if len(body) < 3:
        return None
    head = body[1]
    start, size = (2, head & 0x1F) if head >> 5 == 5 else (3, body[2])
    if start == 3 and head != 0xD9:
        return None
    return body[start : start + size]
