"""`narrow`: what is left of a policy when a second one may only take away. Pure.

For whoever may ask for less and never for more: a guest that asks for a guest of its own, flags on
top of a sealed policy. The second policy names things as the one who asks sees them: where the
first maps `/in` to a directory of the host's, a grant of `/in/x` becomes that directory's `x`.
Paths are compared by their letters: whether that `x` is a link which leads out, its planner asks.
"""

from __future__ import annotations

from belljar.events.paths import covers
from belljar.model import Grant, Limits, Policy, Value
from belljar.policy import addresses
from belljar.policy.modules import normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: What a grant of files gives; two have in common what both give.
_GIVES: Final[dict[str, frozenset[str]]] = {
    "read": frozenset(("read", "list")),
    "list": frozenset(("list",)),
    "write": frozenset(("write", "append")),
    "append": frozenset(("append",)),
}
_ORDERS: Final[dict[str, tuple[str, ...]]] = {
    "names": ("hidden", "auto", "visible"),
    "extensions": ("stdlib", "named", "all"),
    "sync": ("never", "batch", "always"),
}
_SWITCHES: Final = ("net_info", "os_info", "bytecode")
_STREAMS: Final = (("stdin", "null"), ("stdout", "capture"), ("stderr", "capture"))


class Narrowed(Value):
    """`policy` is what is left; `cut` says, a line each, what was asked for and is not given."""

    policy: Policy
    cut: tuple[str, ...] = ()


def narrow(outer: Policy, asked: Policy) -> Narrowed:
    """What both policies allow, as a policy: `outer` is never widened.

    Where two grants overlap and no single grant says what they have in common (two networks, ports
    of each), nothing is given. Rules of both stay; the record is `outer`'s.

    >>> outer = Policy(grants=(Grant("read", "/in", "--read", "/srv/data"),))
    >>> asked = Policy(grants=(Grant("read", "/in/x", "guest"), Grant("write", "/in", "guest")))
    >>> left = narrow(outer, asked)
    >>> left.policy.grants[0].source, left.cut
    ('/srv/data/x', ('write /in: no grant covers it',))
    """
    grants: list[Grant] = []
    cut: list[str] = []
    for wanted in asked.grants:
        found = [one for mine in outer.grants for one in _common(mine, wanted)]
        grants += [one for one in found if one not in grants]
        if not found and not wanted.optional:
            cut.append(f"{wanted.right} {wanted.target}: no grant covers it")
    changes: dict[str, object] = {"grants": tuple(grants)}
    for name in Limits.__fields__:
        if (
            getattr(asked.limits, name) > getattr(outer.limits, name)
            and asked.origin(f"limits.{name.replace('_', '-')}") != "default"
        ):
            cut.append(f"{name.replace('_', '-')}: the limit is {getattr(outer.limits, name)}")
    changes["limits"] = Limits(
        *(min(getattr(outer.limits, n), getattr(asked.limits, n)) for n in Limits.__fields__)
    )
    for name in _SWITCHES:
        mine, his = getattr(outer, name), getattr(asked, name)
        changes[name] = mine and his
        if his and not mine:
            cut.append(f"{name.replace('_', '-')}: not granted")
    for name, order in _ORDERS.items():
        both = (getattr(outer, name), getattr(asked, name))
        if name == "sync":
            changes[name] = max(both, key=order.index)
        else:
            changes[name] = min(both, key=order.index)
    for name, least in _STREAMS:
        same = getattr(outer, name) == getattr(asked, name)
        changes[name] = getattr(outer, name) if same else least
    changes["builtins"] = _builtins(outer.builtins, asked.builtins)
    changes["env"] = _environment(outer, asked)
    changes["devices"] = tuple(d for d in asked.devices if d in outer.devices)
    changes["overlay"] = tuple(p for p in asked.overlay if p in outer.overlay)
    changes["accept_from"] = _peers(outer, asked)
    for name in ("block", "must_log", "require", "rules", "protections"):
        mine, his = getattr(outer, name), getattr(asked, name)
        changes[name] = (*mine, *(one for one in his if one not in mine))
    changes["accept_partial"] = outer.accept_partial
    changes["given"] = (*outer.given, *asked.given)
    left: Policy = outer.replace(**changes)
    return Narrowed(left, tuple(cut))


def _common(mine: Grant, wanted: Grant) -> list[Grant]:
    """What `wanted` may have of `mine`: nothing, or one grant."""
    if mine.right in _GIVES and wanted.right in _GIVES:
        both = _GIVES[mine.right] & _GIVES[wanted.right]
        return _path(mine, wanted, next(r for r in _GIVES if _GIVES[r] == both)) if both else []
    if mine.right != wanted.right:
        return []
    if mine.right in ("connect", "bind"):
        return _address(mine, wanted)
    if mine.right == "import":
        return [wanted] if normal(mine.target) == normal(wanted.target) else []
    return [wanted.replace(source=mine.source)] if mine.target == wanted.target else []


def _path(mine: Grant, wanted: Grant, right: str) -> list[Grant]:
    """`wanted.source` is how its asker calls it, `mine.target` is by the same names."""
    asked = wanted.source or wanted.target
    host = mine.source or mine.target
    optional = mine.optional or wanted.optional
    if covers(mine.target, asked):
        rest = asked[len(mine.target.rstrip("/")) :]
        return [Grant(right, wanted.target, wanted.origin, _joined(host, rest), optional)]
    if covers(asked, mine.target):
        rest = mine.target[len(asked.rstrip("/")) :]
        return [Grant(right, _joined(wanted.target, rest), wanted.origin, host, optional)]
    return []


def _joined(path: str, rest: str) -> str:
    return path.rstrip("/") + rest or "/"


def _address(mine: Grant, wanted: Grant) -> list[Grant]:
    if mine.target == wanted.target or _contains(mine.target, wanted.target):
        return [wanted.replace(source=mine.source)]
    if _contains(wanted.target, mine.target):
        return [mine.replace(origin=wanted.origin)]
    return []


def _contains(wide: str, narrow: str) -> bool:
    """Is every address of the canonical grant `narrow` one of `wide`?"""
    if wide.startswith("unix:") or narrow.startswith("unix:"):
        return wide == narrow
    one, other = addresses.parts(wide), addresses.parts(narrow)
    if one is None or other is None or one[0] != other[0] or one[2] not in ("*", other[2]):
        return False
    outer, inner = one[1], other[1]
    if isinstance(outer, str) or isinstance(inner, str):
        return outer == inner
    if outer.version == 4 and inner.version == 4:
        return inner.subnet_of(outer)
    return outer.version == 6 and inner.version == 6 and inner.subnet_of(outer)


def _builtins(mine: str | tuple[str, ...], his: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if his in (mine, "all"):
        return mine
    if mine == "all":
        return his
    if isinstance(mine, str) and isinstance(his, str):
        return "bare"  # the less of `safe` and `bare`
    if isinstance(mine, tuple) and isinstance(his, tuple):
        return tuple(name for name in his if name in mine)
    return ()  # a list and a set that has no names here: nothing is surely in both


def _environment(outer: Policy, asked: Policy) -> tuple[tuple[str, str | bool], ...]:
    """A text is the asker's own; the host's value only where `outer` passes it."""
    mine = dict(outer.env)
    return tuple(
        (name, value if isinstance(value, str) else mine[name])
        for name, value in asked.env
        if isinstance(value, str) or name in mine
    )


def _peers(outer: Policy, asked: Policy) -> tuple[str, ...]:
    if not asked.accept_from or not outer.accept_from:
        return asked.accept_from or outer.accept_from
    mine = [f"tcp:{_bracketed(p)}:*" for p in outer.accept_from]
    return tuple(
        p for p in asked.accept_from if any(_contains(m, f"tcp:{_bracketed(p)}:*") for m in mine)
    ) or ("0.0.0.0/32",)  # nobody: an empty list would mean everybody


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
