"""A learned policy as TOML for a person to review: each grant with what needed it beside it.

Paths and places come from the recorded program: everything is quoted or escaped, so that none of
it can end a comment, a string or a line.
"""

from __future__ import annotations

from belljar.events.paths import covers
from belljar.policy.keys import GRANTING, KEYS, SCHEMA_VERSION
from belljar.policy.units import format_size, format_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from belljar.model import Policy, Rule
    from belljar.policy.items import Item, Learned
    from belljar.policy.keys import Key

_LONGEST: Final = 300


def to_toml(learned: Learned, folder: str, heading: tuple[str, ...]) -> str:
    """The text of a policy file that lies in `folder`; `heading` are the first comments."""
    lines = [_comment(line) for line in heading]
    lines += [f"schema = {SCHEMA_VERSION}"]
    section = ""
    tables: list[str] = []
    for key in KEYS:
        body, table = _key(key, learned, folder)
        if body and key.section != section:
            section = key.section
            lines += ["", f"[{section}]"]
        lines += body
        if table:
            tables += ["", f"[{key.dotted}]", *table]
    lines += tables + _rules(learned.policy)
    if learned.notes:
        lines += ["", *(_comment(note) for note in learned.notes)]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """`text` as a basic string of TOML. Raises `ValueError` for lone surrogates, which TOML has no
    way to say.

    >>> print(quoted('a"b'))
    "a\\\\"b"
    """
    out = []
    for c in text:
        if 0xD800 <= ord(c) <= 0xDFFF:
            raise ValueError("not Unicode text")
        if c in '"\\':
            out.append(f"\\{c}")
        elif c.isprintable():
            out.append(c)
        else:
            code = ord(c)
            out.append(f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}")
    return '"' + "".join(out) + '"'


def relative(path: str, folder: str) -> str:
    """How a policy file in `folder` names `path`: relative where it lies beneath, else as it is.

    >>> relative("/srv/app/data", "/srv/app"), relative("/etc/hosts", "/srv/app")
    ('data', '/etc/hosts')
    """
    if folder == "/" or not covers(folder, path):
        return path
    short = path[len(folder) + 1 :] or "."
    return f"./{short}" if short[0] in "-~" else short


def _key(key: Key, learned: Learned, folder: str) -> tuple[list[str], list[str]]:
    """Lines of one key in its section, and those of a table of its own."""
    items = [i for i in learned.items if i.key == key.name]
    if key.kind in GRANTING:
        mapped = any(i.source not in ("", i.value) for i in items)
        if not items:
            return [], []
        if mapped:
            return [], [line for i in items for line in _line(i, folder, _pair(folder), "", "")]
        name = {"paths": _path(folder), "programs": _path(folder)}.get(key.kind, _address)
        inside = [line for i in items for line in _line(i, folder, name, "    ", ",")]
        return [f"{key.name} = [", *inside, "]"], []
    if key.dotted not in dict(learned.policy.given):
        return [], []
    origin = learned.policy.origin(key.dotted)
    why = "what was seen needs it" if origin == "learned" else f"as at {origin}"
    return [f"{key.name} = {_value(learned.policy, key, folder)}  {_comment(why)}"], []


def _path(folder: str) -> Callable[[Item], str]:
    def name(item: Item) -> str:
        path = relative(item.value, folder) if item.value.startswith("/") else item.value
        return quoted(f"-{path}" if item.optional else path)

    return name


def _pair(folder: str) -> Callable[[Item], str]:
    def name(item: Item) -> str:
        source = relative(item.source or item.value, folder)
        return f"{quoted(item.value)} = {quoted(f'-{source}' if item.optional else source)}"

    return name


def _address(item: Item) -> str:
    return quoted(item.value.removeprefix("tcp:"))


def _line(item: Item, folder: str, name: Callable[[Item], str], indent: str, end: str) -> list[str]:
    needed = _needed(item).replace(f"{folder}/", "") if folder != "/" else _needed(item)
    if not item.withheld:
        return [f"{indent}{name(item)}{end}  {_comment(needed)}"]
    try:
        text = name(item)
    except ValueError:
        text = printable(item.value)
    return [
        indent + _comment(f"NOT GRANTED: {item.withheld}. Needed by {needed}"),
        f"{indent}# {text}{end}",
    ]


def _needed(item: Item) -> str:
    if item.origin:
        used = f"used {_times(item.count)}" if item.count else "no event shows a use of it"
        return f"from {item.origin}; {used}"
    where = ", ".join(item.places) or "outside any Python frame"
    remark = f"; {item.note}" if item.note else ""
    return f"{where} ({_times(item.count)}){remark}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _comment(text: str) -> str:
    return f"# {printable(text)}".rstrip()


def printable(text: str) -> str:
    """`text` on one line of plain ASCII and harmless letters, not too long."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def _value(policy: Policy, key: Key, folder: str) -> str:
    value = getattr(policy.limits if key.section == "limits" else policy, key.field)
    if type(value) is bool:
        return "true" if value else "false"
    if key.kind == "size":
        return quoted(format_size(value))
    if key.kind == "time":
        return quoted(format_time(value))
    if key.kind == "env":
        pairs = (f"{quoted(n)} = {'true' if v is True else quoted(str(v))}" for n, v in value)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(quoted(str(item)) for item in value) + "]"
    if isinstance(value, str):
        return quoted(relative(value, folder) if value.startswith("/") else value)
    return str(value)


def _rules(policy: Policy) -> list[str]:
    lines: list[str] = []
    for rule in policy.rules:
        if rule.origin.startswith("shipped/"):
            continue
        lines += ["", "[[rule]]", f"match = {_patterns(rule)}", f"then = {quoted(rule.then)}"]
        if rule.after is not None:
            lines.append(f"after = {_patterns(rule.after)}")
        lines += [
            f"{name} = {quoted(text)}"
            for name, text in (("id", rule.id), ("text", rule.text))
            if text
        ]
    return lines


def _patterns(rule: Rule) -> str:
    pairs = []
    for name in ("event", "target", "right", "package", "stack", "shadows"):
        value = getattr(rule, name)
        if value not in ("", "*"):
            some = isinstance(value, tuple)
            text = f"[{', '.join(map(quoted, value))}]" if some else quoted(value)
            pairs.append(f"{name} = {text}")
    return "{ " + (", ".join(pairs) or 'event = "*"') + " }"
