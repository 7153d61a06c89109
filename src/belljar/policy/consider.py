"""Why each grant of a policy covers a target or does not: what `belljar why` tells. Pure."""

from __future__ import annotations

from belljar.events.paths import absolute, covers
from belljar.policy import addresses
from belljar.policy.deciding import decide
from belljar.policy.modules import normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Event, Grant, Policy

_PATHS: Final = ("read", "list", "write", "append", "execute")
_SETTINGS: Final = {"native": "extensions", "netinfo": "net-info", "fsinfo": "names"}


def considered(
    policy: Policy, asked: Event, right: str, target: str
) -> tuple[tuple[tuple[Grant, str], ...], int]:
    """Every grant that could have been meant for `right` on `target`, with a clause that says why
    it does not cover it (or that it does), the nearest first; and how many grants there were.

    `asked` is any event; its target is not looked at. The runtime's own grants are told only where
    they lie around the target.

    >>> from belljar.model import Event, Grant, Policy
    >>> policy = Policy(grants=(Grant("read", "/srv", "--read"),))
    >>> considered(policy, Event(1, 0, 1, 1, "open", ()), "write", "/srv/a")[0][0][1]
    'it covers the path, but gives read and not write'
    """
    rows: list[tuple[int, Grant, str]] = []
    one = asked.replace(name="", args=(), right=right, target=target)
    for grant in policy.grants:
        if right in _PATHS:
            found = _path(policy, one, grant, right, target)
        elif grant.right == right or (right == "resolve" and grant.right == "connect"):
            found = _other(policy, one, grant, right, target)
        else:
            continue
        if found is not None:
            rows.append((found[0], grant, found[1]))
    rows.sort(key=lambda row: row[0])
    return tuple((grant, why) for _, grant, why in rows), len(policy.grants)


def settings(policy: Policy, right: str) -> tuple[tuple[str, str, str], ...]:
    """`(key, value, origin)` of the settings that bear on `right`."""
    names = ["block", "extensions"] if right in ("import", "native") else []
    names += [_SETTINGS[right]] if right in ("netinfo", "fsinfo") else []
    rows = []
    for name in names:
        value = getattr(policy, name.replace("-", "_"))
        section = {"net-info": "network", "names": "files"}.get(name, "modules")
        shown = ", ".join(value) or "none" if isinstance(value, tuple) else str(value)
        rows.append((name, shown, policy.origin(f"{section}.{name}")))
    return tuple(rows)


def _allows(policy: Policy, one: Event, grant: Grant) -> bool:
    alone = policy.replace(grants=(grant,), rules=(), extensions="stdlib")
    return decide(alone, one).verdict == "allow"


def _path(
    policy: Policy, one: Event, grant: Grant, right: str, target: str
) -> tuple[int, str] | None:
    if grant.right not in (*_PATHS, "run") or (grant.right == "run" and right != "execute"):
        return None
    path = absolute(target, "/")
    ours = grant.origin == "runtime"
    if covers(grant.target, path):
        depth = grant.target.count("/")
        if _allows(policy, one, grant):
            return -100 - depth, "it covers the path and gives the right"
        return -depth, f"it covers the path, but gives {grant.right} and not {right}"
    if ours:
        return None
    if covers(path, grant.target):
        return 10, "it is of something beneath, not of all of it"
    common = 0
    for mine, other in zip(grant.target.split("/")[1:], path.split("/")[1:], strict=False):
        if mine != other:
            break
        common += 1
    beside = "/" + "/".join(path.split("/")[1 : common + 1])
    where = f"the path is not beneath it: they part at {beside}" if common else "it lies elsewhere"
    return 100 - common, where


def _other(
    policy: Policy, one: Event, grant: Grant, right: str, target: str
) -> tuple[int, str] | None:
    if _allows(policy, one, grant):
        return -100, "it covers it"
    if right == "run":
        same = grant.target.rpartition("/")[2] == target.rpartition("/")[2]
        if same:
            return 0, "it has the same name, and lies elsewhere"
        return None if grant.origin == "runtime" else (50, "it is another program")
    if right in ("connect", "bind"):
        return _address(grant, target)
    if right == "resolve":
        return 50, "it is of another host"
    if right == "import":
        prefix = normal(target).startswith(f"{normal(grant.target)}-")
        return (0 if prefix else 50), "it is another distribution or module"
    return 50, "it is of something else"


def _address(grant: Grant, target: str) -> tuple[int, str]:
    given, asked = addresses.parts(grant.target), addresses.parts(target)
    if given is None or asked is None:
        return 60, "it is another kind of address"
    if not addresses.same_host(given[1], asked[1]):
        network = not isinstance(given[1], str) and given[1].prefixlen != given[1].max_prefixlen
        return 50, "the address is not in that network" if network else "it is of another host"
    if given[2] not in ("*", asked[2]):
        return 0, f"it is the same host, but port {given[2]} and not {asked[2]}"
    return 5, f"it is the same address, but {given[0]} and not {asked[0] or 'tcp'}"
