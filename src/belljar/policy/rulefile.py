"""`[[rule]]` tables: of a policy file, of a file that holds nothing else, and the shipped ones.

Strict, because a rule that is misspelt is a rule that never fires: every name is compared with what
there is, and every complaint has its place and what was probably meant.
"""

from __future__ import annotations

import os
import sys

from belljar.events.catalogue import BY_NAME
from belljar.events.namespaces import is_applications
from belljar.model import RIGHTS, Rule
from belljar.policy.build import show
from belljar.policy.file import Tables, nearest, read_text
from belljar.policy.glob import compiled
from belljar.policy.keys import RULE_AFTER, RULE_KEYS, RULE_MATCH, RULE_THEN
from belljar.policy.rules import Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.policy.locate import Place

#: The rules that come with Belljar: each is a file here, a test, and a heading of docs/rules.md.
SHIPPED: Final = (
    "hook-tampering", "native-code-from-temporary-directory", "code-from-network-executed",
    "credentials-read", "shell-from-python", "shadowed-module",
)  # fmt: skip
_ID: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST_TEXT: Final = 200
_LONGEST_PATTERN: Final = 1000
_MOST_PATTERNS: Final = 1000


def load_rules(path: str) -> tuple[Rule, ...]:
    """The rules in the file at `path`: `schema = 1` and `[[rule]]` tables, nothing else.

    Raises `PolicyError`, and nothing else.
    """
    return parse_rules(read_text(path), path)


def parse_rules(text: str, name: str) -> tuple[Rule, ...]:
    """The rules in a TOML text; `name` is the file in messages. Raises `PolicyError`.

    >>> text = "schema = 1\\n[[rule]]\\nmatch = { event = 'os.system' }\\nthen = 'alert'\\n"
    >>> parse_rules(text, "my.toml")[0].origin
    'my.toml:2'
    """
    tables = Tables(text, name)
    data = tables.data
    tables.check_schema()
    for section in data:
        if section not in ("schema", "rule"):
            message = f"a file of rules holds schema and [[rule]] only, not {show(section)}"
            raise tables.fail((section,), message)
    return read_rules(tables, data.get("rule", []))


def parse_shipped() -> tuple[Rule, ...]:
    """The rules that come with Belljar, from their files; `rules.shipped` has them ready made.

    >>> parse_shipped()[0].then
    'alert'
    """
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rules")
    found: list[Rule] = []
    for name in SHIPPED:
        text = read_text(os.path.join(folder, f"{name}.toml"))
        found += parse_rules(text, f"shipped/{name}.toml")
    return tuple(found)


def read_rules(tables: Tables, value: object) -> tuple[Rule, ...]:
    """The `[[rule]]` tables that `value` should be. Raises `PolicyError`."""
    if not isinstance(value, list):
        raise tables.fail(("rule",), f"rule: expected [[rule]] tables, got {show(value)}")
    return tuple(_rule(tables, ("rule", i), item) for i, item in enumerate(value))


def _rule(tables: Tables, path: Place, value: object) -> Rule:
    if not isinstance(value, dict):
        raise tables.fail(path, f"rule: expected a table, got {show(value)}")
    _known(tables, path, value, RULE_KEYS)
    if "match" not in value or "then" not in value:
        raise tables.fail(path, "rule: needs match and then")
    match = _match(tables, (*path, "match"), value["match"], RULE_MATCH)
    then = value["then"]
    if type(then) is not str or then not in RULE_THEN:
        message = f"rule.then: expected {', '.join(RULE_THEN)}, got {show(then)}"
        hint = nearest(then, RULE_THEN) if type(then) is str else ""
        raise tables.fail((*path, "then"), message + hint)
    if "after" in value:
        before = _match(tables, (*path, "after"), value["after"], RULE_AFTER)
        match["after"] = Rule(origin=tables.place(*path, "after"), **before)
    for name, check in (("id", _ID.issuperset), ("text", str.isprintable)):
        word = value.get(name, "x")
        if type(word) is not str or not 0 < len(word) <= _LONGEST_TEXT or not check(word):
            what = "small letters, digits and -" if name == "id" else "one line of text"
            raise tables.fail((*path, name), f"rule.{name}: expected {what}, got {show(word)}")
        if name in value:
            match[name] = word
    rule = Rule(then=then, origin=tables.place(*path), **match)
    for one, key in ((rule, "match"), (rule.after, "after")):
        if one is not None and not Rules([one]).possible():
            message = f"rule.{key}: no event can match all of this"
            raise tables.fail((*path, key), message)
    return rule


def _match(tables: Tables, path: Place, value: object, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise tables.fail(path, f"rule.{path[-1]}: expected a table, got {show(value)}")
    _known(tables, path, value, known)
    found: dict[str, Any] = {}
    for name, item in value.items():
        here = (*path, name)
        globs = item if isinstance(item, list) else [item]
        for index, glob in enumerate(globs):
            if type(glob) is not str or not 0 < len(glob.removeprefix("!")) <= _LONGEST_PATTERN:
                message = f"rule.{path[-1]}.{name}: expected a pattern, got {show(glob)}"
                raise tables.fail((*here, index), message)
            if reason := _impossible(name, glob.removeprefix("!")):
                raise tables.fail((*here, index), f"rule.{path[-1]}.{name}: {reason}")
        if not globs or len(globs) > _MOST_PATTERNS:
            message = f"rule.{path[-1]}.{name}: expected 1 to {_MOST_PATTERNS} patterns"
            raise tables.fail(here, message)
        found[name] = tuple(globs) if isinstance(item, list) else item
    return found


def _impossible(name: str, pattern: str) -> str:
    """Why `pattern` can match nothing, as far as that can be known."""
    if name == "right":
        return _none_of(pattern, RIGHTS, "right")
    if name == "shadows":
        return _none_of(pattern, tuple(sys.stdlib_module_names), "standard module")
    if name == "event":
        return "" if is_applications(pattern) else _none_of(pattern, tuple(BY_NAME), "event")
    return ""


def _none_of(pattern: str, known: tuple[str, ...], what: str) -> str:
    hit = compiled(pattern)
    if any(hit(name) for name in known):
        return ""
    word = pattern.replace("*", "").replace("?", "")
    return f"no {what} matches {show(pattern)}{nearest(word, known)}"


def _known(tables: Tables, path: Place, table: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            message = f"unknown key {show(name)} in a rule{nearest(name, known)}"
            raise tables.fail((*path, name), message)
