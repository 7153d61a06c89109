"""A policy as plain data that a ledger can keep, and back: so that a run can be explained later.

What comes back from a ledger may be of a later version, or anything: what is not understood makes
the whole answer None, never an exception.
"""

from __future__ import annotations

from belljar.model import Grant, Limits, Policy, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_RUNTIME: Final = "runtime"
_SETTINGS: Final = tuple(n for n in Policy.__fields__ if n not in ("grants", "rules", "limits"))
_PATTERNS: Final = frozenset(("event", "target", "right", "package", "stack", "shadows"))
_MOST: Final = 20_000


def to_plain(policy: Policy) -> dict[str, object]:
    """`policy` in lists, maps, numbers and text, ready for MessagePack; nothing is lost.

    >>> to_plain(Policy(grants=(Grant("read", "/data", "--read"),)))["grants"]
    [['read', '/data', '--read', '', False]]
    """
    own = [g for g in policy.grants if g.origin != _RUNTIME]
    given: dict[str, list[str]] = {}
    for grant in policy.grants:
        if grant.origin == _RUNTIME:  # many, and all alike
            given.setdefault(grant.target, []).append(grant.right)
    return {
        "grants": [_out(_row(g)) for g in own],
        "runtime": [_out([target, *rights]) for target, rights in given.items()],
        "rules": [_out(_fields(rule)) for rule in policy.rules],
        "limits": {name: getattr(policy.limits, name) for name in Limits.__fields__},
        "settings": {name: _out(getattr(policy, name)) for name in _SETTINGS},
    }


def _row(grant: Grant) -> list[object]:
    row: list[object] = [getattr(grant, name) for name in Grant.__fields__]
    return row if grant.directory else row[:-1]  # older readers know no such field


def _fields(rule: Rule) -> list[object]:
    found: list[object] = [getattr(rule, name) for name in Rule.__fields__]
    return [_fields(one) if isinstance(one, Rule) else one for one in found]


def from_plain(value: object) -> Policy | None:
    """The policy that `to_plain` made `value` of, or None for what it did not make."""
    try:
        return _policy(value)
    except (KeyError, TypeError, ValueError, UnicodeError, AttributeError):
        return None


def _policy(value: Any) -> Policy:
    grants = [_one(Grant, item) for item in _few(value["grants"])]
    for target, *rights in _few(value["runtime"]):
        grants += [Grant(_text(right), _text(target), _RUNTIME) for right in rights]
    limits = {str(k): v for k, v in value["limits"].items() if k in Limits.__fields__}
    if any(type(number) not in (int, float) for number in limits.values()):
        raise TypeError("a limit that is no number")
    settings: dict[str, Any] = {}
    for name, item in value["settings"].items():
        if name not in _SETTINGS:
            continue
        default = getattr(Policy, name)
        back = _in(item)
        both = name == "builtins" and type(back) in (str, tuple)
        if type(back) is not type(default) and not both:
            raise TypeError(name)
        settings[name] = back
    rules = tuple(_rule(item) for item in _few(value["rules"]))
    return Policy(grants=tuple(grants), limits=Limits(**limits), rules=rules, **settings)


def _rule(item: Any, deep: bool = False) -> Rule:
    if type(item) is not list or len(item) > len(Rule.__fields__):
        raise TypeError("not a list of fields")
    fields: dict[str, Any] = dict(zip(Rule.__fields__, item, strict=False))
    for name, value in fields.items():
        if name == "after":
            fields[name] = None if value is None or deep else _rule(value, True)
            continue
        texts = fields[name] = _in(value)
        for text in texts if type(texts) is tuple and name in _PATTERNS else (texts,):
            if type(text) is not str:
                raise TypeError(name)
    return Rule(**fields)


def _one(kind: Any, item: Any) -> Any:
    names = kind.__fields__
    if type(item) is not list or len(item) > len(names):
        raise TypeError("not a list of fields")
    fields = dict(zip(names, map(_in, item), strict=False))
    for name, text in fields.items():
        if type(text) is not (bool if name in ("optional", "directory") else str):
            raise TypeError(name)
    return kind(**fields)


def _few(value: Any) -> list[Any]:
    if type(value) is not list or len(value) > _MOST:
        raise TypeError("not a list")
    return value


def _text(value: object) -> str:
    text = _in(value)
    if type(text) is not str:
        raise TypeError("not text")
    return text


def _out(value: object) -> object:
    if type(value) in (tuple, list):
        return [_out(item) for item in value]  # type: ignore[attr-defined]
    if type(value) is str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:  # a file's name that was no UTF-8
            return value.encode("utf-8", "surrogateescape")
    return value


def _in(value: object) -> object:
    if type(value) is list:
        return tuple(_in(item) for item in value)
    if type(value) is bytes:
        return value.decode("utf-8", "surrogateescape")
    return value
