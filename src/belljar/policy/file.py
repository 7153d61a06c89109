"""The policy file: TOML of its own, or `[tool.belljar]` in a `pyproject.toml`.

Every complaint is one `PolicyError` whose place is `FILE:LINE`, FILE as the caller named it.
Reads that one file and nothing else; relative paths are relative to it.
"""

from __future__ import annotations

import os

from belljar.errors import PolicyError
from belljar.events.paths import absolute
from belljar.model import Policy
from belljar.policy.build import Draft, complaint, show
from belljar.policy.keys import (
    BY_NAME,
    PROTECTION_SHAPES,
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
    text = read_text(path)
    folder = absolute(os.path.dirname(path), os.getcwd())
    return parse(text, path, folder, pyproject=os.path.basename(path) == "pyproject.toml")


def parse(text: str, name: str, folder: str, *, pyproject: bool = False) -> Policy:
    """The policy in a TOML text; `name` is the file in messages. Raises `PolicyError`."""
    tables = Tables(text, name)
    if pyproject:
        tables.go_down("tool", "belljar")
        tables.data.setdefault("schema", SCHEMA_VERSION)
    return _Reader(tables, Draft(Policy(), folder)).read()


def read_text(path: str) -> str:
    """The text of a small file. Raises `PolicyError`."""
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


class Tables:
    """A TOML text as `data`, and where each piece of it stands. Raises `PolicyError`."""

    def __init__(self, text: str, name: str) -> None:
        import tomllib

        self.name = name
        self.root: Place = ()
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
            self.places = locate(text)
        except tomllib.TOMLDecodeError as error:
            reason, line = _syntax(str(error), text)
            raise complaint(f"{name}:{line}", f"not TOML: {reason}") from None
        except RecursionError:
            raise PolicyError(name, "not TOML that can be read: nested too deep") from None
        except ValueError as error:  # a number with too many digits
            raise PolicyError(name, f"not TOML that can be read: {error}") from None

    def go_down(self, outer: str, inner: str) -> None:
        """From here on `data` is the table `[outer.inner]`."""
        around = self.data.get(outer)
        own = around.get(inner) if isinstance(around, dict) else None
        if not isinstance(own, dict):
            raise PolicyError(self.name, f"has no table [{outer}.{inner}]")
        self.data, self.root = own, (outer, inner)

    def place(self, *path: str | int) -> str:
        """`policy.toml:7` for a key; that of the nearest key around it where it has no line."""
        whole: Place = (*self.root, *path)
        while whole not in self.places:
            whole = whole[:-1]
        return f"{self.name}:{self.places[whole]}"

    def fail(self, path: Place, message: str) -> PolicyError:
        """The error to raise for what stands at `path`."""
        return complaint(self.place(*path), message)

    def check_schema(self) -> None:
        """`schema = 1` must be there."""
        if "schema" not in self.data:
            raise PolicyError(
                f"{self.name}:1", f"schema is missing: write schema = {SCHEMA_VERSION}"
            )
        value = self.data["schema"]
        if type(value) is not int or value != SCHEMA_VERSION:
            message = f"schema {show(value)} is unknown; this Belljar reads {SCHEMA_VERSION}"
            raise self.fail(("schema",), message)


class _Reader:
    def __init__(self, tables: Tables, draft: Draft) -> None:
        self.tables, self.draft = tables, draft
        self.place, self.fail = tables.place, tables.fail

    def read(self) -> Policy:
        self.tables.check_schema()
        for section, value in self.tables.data.items():
            if section not in _TOP:
                hint = nearest(section, _TOP) or _section_of(section)
                raise self.fail((section,), f"unknown section or key {show(section)}{hint}")
            if section == "rule":
                from belljar.policy.rulefile import read_rules

                self.draft.fields["rules"] = read_rules(self.tables, value)
                self.draft.given["rule"] = self.place("rule")
            elif section == "protections":
                self.draft.fields["protections"] = self._protections(value)
            elif section != "schema":
                self._section(section, value)
        return self.draft.policy()

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


def _section_of(name: str) -> str:
    key = BY_NAME.get(name)
    return f"; it belongs to [{key.section}]" if key else ""
