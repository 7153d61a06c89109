"""Where in a request or an answer the value is that cannot cross: for the text of the error.

Part of the live guest's first lines, and used by the host too; runs on any CPython from 3.8.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONTAINERS_LOOKED_AT, _ITEMS_LOOKED_AT = 1000, 1000000
_LONGEST_KEY = 40  # characters
#: Where in a request's body the arguments are; their names are behind.
_ARGUMENTS = {"call": 1, "method": 2, "@call": 2}
#: Answers are `(how, value, turns)`: `=` before the operation. `@`: of the guest's.
_ANSWERS = ("=run", "=call", "=get")


def place_of(op: str, body: object, what: object) -> str:
    """The place of `what` in the body of a request or an answer, as one would write it; nothing
    where it is the whole, or takes long to find. Calls no method of a value's own.

    >>> bad = object()
    >>> place_of("put", {"x": [1, {"a": bad}]}, bad), place_of("call", ("f", (1, bad), {}), bad)
    ("x[1]['a']", 'argument 2')
    """
    keys = _keys_to(body, what) if type(body) in (tuple, list, dict) else []
    at = _ARGUMENTS.get(op, 0)
    if not keys:
        return ""
    if op == "put":
        return str(keys[0]) + _subscripts(keys[1:])
    if op in _ANSWERS:
        return "value" + _subscripts(keys[1:]) if len(keys) > 1 else ""
    if len(keys) > 1 and keys[0] == at:
        return "argument %d%s" % (keys[1] + 1, _subscripts(keys[2:]))
    if len(keys) > 1 and keys[0] == at + 1:
        return "argument %s%s" % (keys[1], _subscripts(keys[2:]))
    return ""


def _keys_to(value: object, what: object) -> "list[Any]":
    rest: "list[tuple[Any, list[Any]]]" = [(value, [])]
    left = _ITEMS_LOOKED_AT
    for _ in range(_CONTAINERS_LOOKED_AT):
        if not rest or left < 0:
            break
        one, keys = rest.pop()
        left -= len(one)
        for key, item in list(one.items()) if type(one) is dict else enumerate(one):
            if item is what:
                return [*keys, key]
            if type(item) in (tuple, list, dict):
                rest.append((item, [*keys, key]))
    return []


def _subscripts(keys: "list[Any]") -> str:
    text = ""
    for key in keys:
        told = repr(key) if type(key) in (int, str) else "..."
        text += "[%s]" % (told if len(told) <= _LONGEST_KEY else "...")
    return text


def placed(error: "Any", op: str, body: object) -> "Any":
    """The Unsendable with the place of what it is about before its text, where that is known."""
    what = getattr(error, "what", _NOTHING)
    place = place_of(op, body, what) if what is not _NOTHING else ""
    if place:
        error.args = ("%s: %s" % (place, error),)
    return error


_NOTHING = object()
