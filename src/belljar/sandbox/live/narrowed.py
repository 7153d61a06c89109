"""A guest that narrows itself, as its host knows it: less for its sandboxes, lower clocks.

What the guest tells is believed only where it takes away: the walls stand inside, and whoever does
not tell has nothing but what it was granted.
"""

from __future__ import annotations

from belljar.errors import GuestProtocolError
from belljar.model import Protection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from belljar.model import Policy, Status
    from belljar.sandbox.live.box import Sandbox
    from belljar.sandbox.live.guest import Guest
    from belljar.sandbox.live.inner import Inner

_LIMITS: Final = frozenset(
    ("memory", "cpu", "wall", "processes", "threads", "open_files", "output")
)
_SECONDS: Final = ("cpu", "wall")
_MOST, _LONGEST = 2048, 4096
_BY: Final = "told by the guest; its sandboxes and clocks: the host"


class Narrowed:
    """Answers the guest's operation `narrow`. `policy` is what the guest has by now."""

    def __init__(self, guest: Guest) -> None:
        self.policy: Policy = guest.policy
        self.sandboxes: Inner | None = None
        self.told = ""
        self._guest = guest

    def __call__(self, body: object) -> None:
        """Take note. Raises `GuestProtocolError` for what our own guest part does not send."""
        grants, lower, told = _read(body)
        self.policy = less(self.policy, grants, lower)
        guest = self._guest
        guest.policy = guest.policy.replace(limits=self.policy.limits)
        guest.clocks.lower(self.policy.limits)
        guest.output.lower(self.policy.limits.output)
        self.told = told
        if self.sandboxes is not None:
            self.sandboxes.narrow(self.policy)

    def status(self, receipt: Status) -> Status:
        """The receipt, with a row for what the guest says that it gave up."""
        if not self.told:
            return receipt
        row = Protection("narrowed", "partial", _BY, self.told)
        return receipt.replace(protections=(*receipt.protections, row))


def sandboxes_of(
    guest: Guest, narrowed: Narrowed, python: str | None, engine: str | None
) -> Callable[[object], object]:
    """What answers a guest that asks for a sandbox of its own; it does not hold that guest's."""

    def make(asked: Policy) -> Sandbox:
        from belljar.sandbox.live.box import Sandbox

        return Sandbox(asked, python=python, engine=engine)

    def ask(body: object) -> object:
        if narrowed.sandboxes is None:
            from belljar.sandbox.live.inner import Inner

            narrowed.sandboxes = Inner(narrowed.policy, make, guest)
        return narrowed.sandboxes(body)

    return ask


def less(policy: Policy, grants: dict[str, list[str]], lower: dict[str, float]) -> Policy:
    """`policy` with only those grants whose right and target are named, and with limits that are
    not above those of `lower`.

    >>> from belljar.model import Grant, Policy
    >>> policy = Policy(grants=(Grant("read", "/a", "x"), Grant("write", "/b", "x")))
    >>> [grant.target for grant in less(policy, {"read": ["/a", "/c"]}, {}).grants]
    ['/a']
    """
    kept = tuple(grant for grant in policy.grants if grant.target in grants.get(grant.right, ()))
    limits = policy.limits
    for name, number in lower.items():
        value = number if name in _SECONDS else max(1, int(number))
        if value < getattr(limits, name):
            limits = limits.replace(**{name: value})
    return policy.replace(grants=kept, limits=limits)


def _read(body: object) -> tuple[dict[str, list[str]], dict[str, float], str]:
    if type(body) is not tuple or len(body) != 4:
        raise GuestProtocolError("what a guest has narrowed is four things")
    grants, lower, what, rows = body
    if type(grants) is not dict or type(lower) is not dict or type(rows) is not dict:
        raise GuestProtocolError("what a guest has narrowed are names and values")
    for key, targets in grants.items():
        if type(key) is not str or type(targets) is not list or len(targets) > _MOST:
            raise GuestProtocolError("what a guest keeps are texts")
        if not all(map(_is_text, targets)):
            raise GuestProtocolError("what a guest keeps are texts")
    for key, value in lower.items():
        if key not in _LIMITS or type(value) not in (int, float) or not 0 < value < 1 << 60:
            raise GuestProtocolError("a guest lowers limits by numbers")
    if not _is_text(what) or len(rows) > 32:
        raise GuestProtocolError("what a guest has narrowed is said in texts")
    parts = [f"keeps {what}"]
    for key, row in rows.items():
        if (
            not _is_text(key)
            or type(row) is not tuple
            or not all(map(_is_text, row))
            or len(row) != 3
        ):
            raise GuestProtocolError("what a guest has narrowed is said in texts")
        parts.append(f"{key} {row[0]}" + (f" ({row[1]})" if row[1] else ""))
    told = "; ".join(parts)[:_LONGEST]
    return grants, lower, "".join(one if one.isprintable() else "?" for one in told)


def _is_text(value: Any) -> bool:
    return type(value) is str and len(value) <= _LONGEST
