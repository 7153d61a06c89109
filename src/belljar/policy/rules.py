"""`Rules`: which rule, if any, fires for an event. Pure and total: no I/O, no clock, no exception.

What a rule needs to know of the past (`after`, `shadows`) comes in as a `Past`; whoever watches the
processes keeps it. The rules that can fire for a name are remembered, so that a thousand rules
cost nothing for the names that they do not concern.
"""

from __future__ import annotations

import sys

from belljar.events.catalogue import BY_NAME, lookup
from belljar.events.targets import targets, text_of
from belljar.events.values import path_of
from belljar.model import Rule, Value
from belljar.policy.glob import Globs, possible
from belljar.policy.possible import has_target, rights_of
from belljar.policy.untold import spellings, texts, untold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from belljar.model import Event
    from belljar.policy.untold import Untold

STRENGTH: Final = {"record": 0, "alert": 1, "deny": 2, "kill": 3}
#: How a rule names what caused an event that no distribution caused.
THE_PROGRAM: Final = "the program"
_MOST_NAMES: Final = 4096  # a guest may invent names without end
_SHADOWING: Final = ("exec", "import")
_NATIVE: Final = {"import": "import/native"}


class Past(Value):
    """What the process of an event did before: which of `Rules.afters` it met, and the module
    whose import the thread announced last."""

    did: frozenset[int] = frozenset()
    importing: str = ""


NOTHING: Final = Past()


class _Compiled:
    """One rule, ready to be asked."""

    def __init__(self, rule: Rule, after: int = -1) -> None:
        self.rule = rule
        self.after = after
        self.event, self.right, self.target = map(Globs, (rule.event, rule.right, rule.target))
        self.stack, self.package = Globs(rule.stack), Globs(_alike(rule.package))
        self.closed = rule.then in ("deny", "kill")
        self.shadows = Globs(rule.shadows) if rule.shadows else None

    def concerns(self, name: str) -> bool:
        """Can an event called `name` match?"""
        if not self.event.match(name):
            return False
        if self.shadows is not None and name not in _SHADOWING:
            return False
        if not self.target.anything and not self.target.match("") and not has_target(name):
            return False
        return self.right.anything or any(self.right.match(right) for right in rights_of(name))

    def matches(
        self, event: Event, pairs: Sequence[tuple[str, str]], unknown: Sequence[Untold] = ()
    ) -> bool:
        """Do all patterns match, whatever came before?"""
        if not any(self.right.match(r) and self.target.match(t) for r, t in pairs) and not any(
            self.right.match(one.right) and self._may(one) for one in unknown
        ):
            return False
        if not self.stack.anything:
            frames = [f"{f.file}:{f.function}" for f in (*event.stack, *event.frames)]
            if not self.stack.match_some(frames):
                return False
        if not self.package.anything and not self.package.match_some(_packages(event)):
            return False
        if self.shadows is None:
            return True
        name = shadowed(event)
        return bool(name) and self.shadows.match(name)

    def _may(self, one: Untold) -> bool:
        """Is a target that is not told taken for one that matches? Where that refuses: always,
        unless its end is known and another; else only where enough of it is known."""
        if self.closed:
            return self.target.may_match(ends=one.ends)
        if one.begins:
            return self.target.may_match(one.begins)
        # `*/.ssh/*` could be anything that is relative
        return bool(one.ends) and any(
            pattern.rpartition("/")[2].strip("*?") and possible(pattern, ends=one.ends)
            for pattern in self.target.wanted
        )

    def names(self) -> list[str]:
        """Patterns, with `*` only, for all events that can match."""
        found = [name for name in BY_NAME if self.concerns(name)]
        if self.right.match("") and self.target.match("") and self.shadows is None:
            patterns = self.event.wanted or ("*",)  # an application's own events, too
            found += [p.replace("?", "*") for p in patterns if p not in BY_NAME]
        return found

    def holds(self, event: Event, past: Past) -> bool:
        """Was before what must have been before?"""
        if self.after >= 0 and self.after not in past.did:
            return False
        if self.shadows is None or event.name == "import":
            return True
        return past.importing == shadowed(event)


class Rules:
    """Rules in the order in which they were written.

    >>> rules = Rules([Rule("os.system", then="alert", id="shell")])
    >>> rules.wants("os.system"), rules.wants("open")
    (True, False)
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        #: What processes must be seen to have done, as far as rules say `after`.
        self.afters: tuple[Rule, ...] = tuple(
            dict.fromkeys(rule.after for rule in self.rules if rule.after is not None)
        )
        self._rules = [
            _Compiled(rule, self.afters.index(rule.after) if rule.after is not None else -1)
            for rule in sorted(self.rules, key=lambda rule: -STRENGTH.get(rule.then, 0))
        ]
        self._afters = [_Compiled(rule) for rule in self.afters]
        #: Whether the imports that threads announce must be followed.
        self.shadows = any(rule.shadows is not None for rule in self._rules)
        self._known: dict[str, tuple[tuple[_Compiled, ...], tuple[int, ...]]] = {}

    def __bool__(self) -> bool:
        return bool(self.rules)

    def wants(self, name: str) -> bool:
        """Could an event called `name` fire a rule, or be what another rule comes after?"""
        rules, afters = self._of(name)
        return bool(rules) or bool(afters) or (self.shadows and name == "import")

    def judge(self, event: Event, past: Past = NOTHING) -> Rule | None:
        """The strictest rule that fires for `event`; of equals the one written first.

        >>> rules = Rules([Rule("shop.refund", then="deny")])
        >>> rules.judge(Event(1, 0, 1, 1, "shop.refund", (5,))).then
        'deny'
        """
        return self.look(event, past)[0]

    def look(self, event: Event, past: Past) -> tuple[Rule | None, tuple[int, ...], bool]:
        """What `judge` says; which of `afters` this event is; and whether a rule or one of them
        could match just this event whatever came before. What could not, need not be looked at
        when it comes again.
        """
        rules, afters = self._of(event.name)
        if not rules and not afters:
            return None, (), False
        pairs = _pairs(event)
        unknown = untold(event)
        fired, might = None, False
        for rule in rules:
            if rule.matches(event, pairs, unknown):
                might = True
                if rule.holds(event, past):
                    fired = rule.rule
                    break
        marks = tuple(
            index for index in afters if self._afters[index].matches(event, pairs, unknown)
        )
        return fired, marks, might or bool(marks)

    def by_package(self, name: str) -> bool:
        """Does a rule for events called `name` look at the package?"""
        rules, afters = self._of(name)
        return any(not rule.package.anything for rule in rules) or any(
            not self._afters[index].package.anything for index in afters
        )

    def glance(self, name: str) -> Callable[[bytes], object] | None:
        """A test of an event's body that is quick and true for every one that a rule can fire
        for, or None where there is no such test. For files, which are opened most of all.

        >>> test = Rules([Rule("open", "*/.ssh/*", then="alert")]).glance("open")
        >>> bool(test(b"/home/a/.ssh/id")), bool(test(b"/usr/lib/os.py"))
        (True, False)
        """
        row = lookup(name)
        if row is None or row[4] != "file" or row[3] < 0:
            return None
        rules, afters = self._of(name)
        found: set[str] = set()
        for rule in (*rules, *(self._afters[index] for index in afters)):
            for pattern in rule.target.wanted or ("*",):
                pieces = _pieces(pattern)
                if not pieces:
                    return None
                if not any(known in piece for piece in pieces for known in found):
                    found.add(pieces[0])
        return _searcher(found)

    def names(self, then: Sequence[str]) -> tuple[str, ...]:
        """Patterns, with `*` only, for the names of all events that can fire a rule whose `then`
        is among `then`."""
        chosen = [rule for rule in self._rules if rule.rule.then in then]
        return tuple(dict.fromkeys(name for rule in chosen for name in rule.names()))

    def before(self) -> tuple[str, ...]:
        """Such patterns for what rules must know of although they do not fire for it."""
        found = dict.fromkeys(name for rule in self._afters for name in rule.names())
        return (*found, "import") if self.shadows else tuple(found)

    def possible(self) -> bool:
        """Is there an event that one of the rules can fire for?"""
        for rule in self._rules:
            if any(rule.concerns(name) for name in BY_NAME) or rule.names():
                return True
        return False

    def asks(self) -> tuple[str, ...]:
        """Patterns for the names of all events that a rule may refuse. An import that loads
        native code is `import/native` where that alone matters: see `possible`."""
        chosen = [rule for rule in self._rules if rule.rule.then in ("deny", "kill")]
        every = any(rule.right.match("import") for rule in chosen if rule.concerns("import"))
        found = self.names(("deny", "kill"))
        return found if every else tuple(_NATIVE.get(name, name) for name in found)

    def _of(self, name: str) -> tuple[tuple[_Compiled, ...], tuple[int, ...]]:
        known = self._known.get(name)
        if known is None:
            known = (
                tuple(rule for rule in self._rules if rule.concerns(name)),
                tuple(i for i, rule in enumerate(self._afters) if rule.concerns(name)),
            )
            if len(self._known) < _MOST_NAMES:
                self._known[name] = known
        return known


def load_rules(path: str) -> tuple[Rule, ...]:
    """The rules in the file at `path`: `schema = 1` and `[[rule]]` tables. Raises `PolicyError`."""
    from belljar.policy import rulefile

    return rulefile.load_rules(path)


def shipped() -> tuple[Rule, ...]:
    """The rules that come with Belljar; docs/rules.md has a heading for each."""
    from belljar.policy.shipped import SHIPPED

    return SHIPPED


def _pairs(event: Event) -> Sequence[tuple[str, str]]:
    """Each right that the event needs with its target: what it resolves to and, where that is
    another, the path by its letters. As it was asked where neither is known."""
    target = event.target or event.asked or ""
    needed = targets(event)
    pairs = [(right, other or event.asked or "") for right, other in needed] or [("", target)]
    if event.asked and target.startswith("/") and event.asked != target:
        letters = path_of(event.asked, event.cwd)
        if letters and letters != target:
            pairs += [(right, letters) for right, other in needed if other == target]
    pairs += [(right, text) for right, _ in needed[:1] for text in texts(event)]
    for right, other in needed:
        if other and right in ("connect", "bind"):
            pairs += [(right, text) for text in spellings(other)]
    return pairs


def _file_of(code: object) -> str:
    """The file that a recorded code object names, "" where it is no code object."""
    file = getattr(code, "file", "")
    return file if isinstance(file, str) else ""


def _packages(event: Event) -> Sequence[str]:
    """The names by which a pattern may mean the package: with its version and without."""
    if event.package is None:
        return ()
    if not event.package:
        return (THE_PROGRAM,)
    (package,) = _alike(event.package)
    name, space, version = package.rpartition(" ")
    return (package, name) if space and version[:1].isdigit() else (package,)


def _alike(names: str | tuple[str, ...]) -> tuple[str, ...]:
    """Names of distributions in one form: case, `_` and `-` do not count."""
    several = (names,) if isinstance(names, str) else names
    return tuple(name.lower().replace("_", "-") for name in several)


def shadowed(event: Event) -> str:
    """The standard module that the file which `event` loads is named like, although it is none of
    the standard library's; "" for anything else. Whether it is loaded under that name, only the
    import before it tells: `Past.importing`.
    """
    args = event.args
    if event.name == "exec" and args:
        return _module(_file_of(args[0]))
    if event.name == "import" and len(args) > 1:
        name, path = text_of(args[0]), text_of(args[1])
        if name and path and name in sys.stdlib_module_names and not is_standard(path):
            return name
    return ""


def _module(path: str) -> str:
    if not path.endswith(".py"):
        return ""
    folder, _, file = path.rpartition("/")
    name = folder.rpartition("/")[2] if file == "__init__.py" else file[:-3]
    return name if name in sys.stdlib_module_names and not is_standard(path) else ""


def is_standard(path: str) -> bool:
    """Does `path`, by its letters, lie in a standard library?

    >>> is_standard("/usr/lib/python3.11/random.py"), is_standard("/home/a/random.py")
    (True, False)
    """
    for place in ("/lib/python3.", "/lib64/python3."):
        at = path.find(place)
        if at >= 0:
            rest = path[at:]
            return "/site-packages/" not in rest and "/dist-packages/" not in rest
    return False


def _pieces(pattern: str) -> list[str]:
    """Text of which whatever path matches holds each, whole and within one component; the one
    that is looked for best comes first: hidden names are rare, and so are long ones."""
    pieces = pattern.replace("*", "/").replace("?", "/").split("/")
    if pattern.startswith("/") and "*" not in pattern and "?" not in pattern:
        pieces = pieces[-1:]  # a relative path has that for certain
    some = {p for p in pieces if len(p) > 2 and p.isascii()}
    return sorted(some, key=lambda p: (p[0] != ".", -len(p), p))


def _searcher(words: set[str]) -> Callable[[bytes], object]:
    import re

    hidden = sorted(re.escape(word[1:]) for word in words if word[0] == ".")
    others = sorted(re.escape(word) for word in words if word[0] != ".")
    # two expressions: the search for a literal first character is many times as fast
    tests = [
        re.compile(text.encode()).search
        for text in (rf"\.(?:{'|'.join(hidden)})" if hidden else "", "|".join(others))
        if text
    ]
    one, other = tests[0], tests[-1]
    # or text that was cut: ext 4 of an array of two
    if one is other:
        return lambda body: one(body) or b"\x04\x92" in body
    return lambda body: one(body) or other(body) or b"\x04\x92" in body
