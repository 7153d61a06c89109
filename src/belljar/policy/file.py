"""The policy file: TOML of its own, or `[tool.belljar]` in a `pyproject.toml`.

Every complaint is one `PolicyError` whose place is `FILE:LINE`, FILE as the caller named it.
Reads that one file and nothing else; relative paths are relative to it.
"""

from __future__ import annotations

import os

from belljar.errors import PolicyError
from belljar.events.paths import absolute
from belljar.model import RIGHTS, Policy, Rule
from belljar.policy.build import Draft, complaint, show
from belljar.policy.glob import matches
from belljar.policy.keys import (
    BY_NAME,
    PROTECTION_SHAPES,
    RULE_MATCH,
    RULE_THEN,
    SCHEMA_VERSION,
    SECTIONS,
)
from belljar.policy.locate import locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

    from belljar.policy.locate import Place

MAX_BYTES: Final = 1 << 20
MAX_CAP: Final = 1e300  # no infinity and no not-a-number
_TOP: Final = ("schema", *SECTIONS, "rule", "protections")


def load(path: str) -> Policy:
    """The policy in the file at `path`. Raises `PolicyError`, and nothing else.

    A policy file must say `schema = 1`. In a `pyproject.toml` the policy is the table
    `[tool.belljar]`, where `schema` may be left out.
    """
    text = _read(path)
    folder = absolute(os.path.dirname(path), os.getcwd())
    return parse(text, path, folder, pyproject=os.path.basename(path) == "pyproject.toml")


def parse(text: str, name: str, folder: str, *, pyproject: bool = False) -> Policy:
    """The policy in a TOML text; `name` is the file in messages. Raises `PolicyError`."""
    import tomllib

    try:
        data = tomllib.loads(text)
        places = locate(text)
    except tomllib.TOMLDecodeError as error:
        reason, line = _syntax(str(error), text)
        raise complaint(f"{name}:{line}", f"not TOML: {reason}") from None
    except RecursionError:
        raise PolicyError(name, "not TOML that can be read: nested too deep") from None
    except ValueError as error:  # a number with too many digits
        raise PolicyError(name, f"not TOML that can be read: {error}") from None
    root: Place = ()
    if pyproject:
        root = ("tool", "belljar")
        tool = data.get("tool")
        own = tool.get("belljar") if isinstance(tool, dict) else None
        if not isinstance(own, dict):
            raise PolicyError(name, "has no table [tool.belljar]")
        data = own
        data.setdefault("schema", SCHEMA_VERSION)
    return _Reader(name, places, root, Draft(Policy(), folder)).read(data)


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise PolicyError(path, f"cannot be read: {reason}") from None
    if len(raw) > MAX_BYTES:
        raise PolicyError(path, "is larger than a policy may be (1 MiB)")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise PolicyError(f"{path}:{line}", "is not UTF-8") from None


def _syntax(message: str, text: str) -> tuple[str, int]:
    """tomllib's message without its place, and the line."""
    reason, _, where = message.rpartition(" (at ")
    digits = where.removeprefix("line ").partition(",")[0]
    if reason and digits.isdigit():
        return reason, int(digits)
    last = text.rstrip("\n").count("\n") + 1
    return (reason or message).replace("\n", " "), last


def nearest(word: str, known: Sequence[str]) -> str:
    """`; did you mean read?`, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


class _Reader:
    def __init__(self, name: str, places: dict[Place, int], root: Place, draft: Draft) -> None:
        self.name = name
        self.places = places
        self.root = root
        self.draft = draft

    def place(self, *path: str | int) -> str:
        """`policy.toml:7` for a key; that of the nearest key around it where it has no line."""
        whole: Place = (*self.root, *path)
        while whole not in self.places:
            whole = whole[:-1]
        return f"{self.name}:{self.places[whole]}"

    def fail(self, path: Place, message: str) -> PolicyError:
        return complaint(self.place(*path), message)

    def read(self, data: dict[str, Any]) -> Policy:
        self._schema(data)
        for section, value in data.items():
            if section not in _TOP:
                hint = nearest(section, _TOP) or _section_of(section)
                raise self.fail((section,), f"unknown section or key {show(section)}{hint}")
            if section == "rule":
                self.draft.fields["rules"] = self._rules(value)
            elif section == "protections":
                self.draft.fields["protections"] = self._protections(value)
            elif section != "schema":
                self._section(section, value)
        return self.draft.policy()

    def _schema(self, data: dict[str, Any]) -> None:
        if "schema" not in data:
            raise PolicyError(
                f"{self.name}:1", f"schema is missing: write schema = {SCHEMA_VERSION}"
            )
        value = data["schema"]
        if type(value) is not int or value != SCHEMA_VERSION:
            message = f"schema {show(value)} is unknown; this Belljar reads {SCHEMA_VERSION}"
            raise self.fail(("schema",), message)

    def _section(self, section: str, value: object) -> None:
        if not isinstance(value, dict):
            raise self.fail((section,), f"{section}: expected a table, got {show(value)}")
        for name, item in value.items():
            if name not in SECTIONS[section]:
                hint = nearest(name, SECTIONS[section]) or _section_of(name)
                raise self.fail((section, name), f"unknown key {show(name)} in {section}{hint}")
            here = (section, name)
            key = BY_NAME[name]
            self.draft.take(key, item, lambda *rest, here=here: self.place(*here, *rest), add=False)

    def _rules(self, value: object) -> tuple[Rule, ...]:
        if not isinstance(value, list):
            raise self.fail(("rule",), f"rule: expected [[rule]] tables, got {show(value)}")
        self.draft.given["rule"] = self.place("rule")
        return tuple(self._rule(("rule", i), item) for i, item in enumerate(value))

    def _rule(self, path: Place, value: object) -> Rule:
        if not isinstance(value, dict):
            raise self.fail(path, f"rule: expected a table, got {show(value)}")
        self._known(path, value, ("match", "then"))
        if "match" not in value or "then" not in value:
            raise self.fail(path, "rule: needs match and then")
        match, then = value["match"], value["then"]
        if not isinstance(match, dict) or not match:
            raise self.fail((*path, "match"), f"rule.match: expected a table, got {show(match)}")
        self._known((*path, "match"), match, RULE_MATCH)
        for name, glob in match.items():
            if type(glob) is not str or not glob:
                message = f"rule.match.{name}: expected a pattern, got {show(glob)}"
                raise self.fail((*path, "match", name), message)
        if "right" in match and not any(matches(match["right"], right) for right in RIGHTS):
            message = f"rule.match.right: no right matches {show(match['right'])}"
            raise self.fail((*path, "match", "right"), message + nearest(match["right"], RIGHTS))
        if type(then) is not str or then not in RULE_THEN:
            message = f"rule.then: expected {', '.join(RULE_THEN)}, got {show(then)}"
            raise self.fail((*path, "then"), message)
        return Rule(then=then, origin=self.place(*path), **match)

    def _protections(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, dict):
            raise self.fail(("protections",), f"protections: expected tables, got {show(value)}")
        for name, table in value.items():
            here: Place = ("protections", name)
            if not isinstance(table, dict):
                raise self.fail(here, f"protections.{name}: expected a table, got {show(table)}")
            for item, shape in table.items():
                self._protection((*here, item), f"protections.{name}.{item}", shape)
            self.draft.given[f"protections.{name}"] = self.place(*here)
        return tuple(value)

    def _protection(self, path: Place, name: str, value: object) -> None:
        if type(value) is bool:
            return
        if isinstance(value, dict) and len(value) == 1:
            ((shape, item),) = value.items()
            number = type(item) is int or (type(item) is float and abs(item) < MAX_CAP)
            if shape == "value" or (shape == "cap" and number):
                return
            if shape == "members" and isinstance(item, list):
                return
        shapes = ", ".join(f"{{ {shape} = ... }}" for shape in PROTECTION_SHAPES)
        raise self.fail(path, f"{name}: expected true, false, {shapes}, got {show(value)}")

    def _known(self, path: Place, table: dict[str, Any], known: tuple[str, ...]) -> None:
        for name in table:
            if name not in known:
                message = f"unknown key {show(name)} in a rule{nearest(name, known)}"
                raise self.fail((*path, name), message)


def _section_of(name: str) -> str:
    key = BY_NAME.get(name)
    return f"; it belongs to [{key.section}]" if key else ""
