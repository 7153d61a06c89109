"""Events of libraries that the rules of a policy may speak of, declared beside their packages."""

from __future__ import annotations

from belljar.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.model import Policy, Rule


def know(policy: Policy, site: Sequence[str]) -> None:
    """Register what the distributions in `site` declare, if the policy has rules at all.

    Raises `PolicyError` where a rule that refuses needs the target or right of an event that
    nobody has declared, and a declaration could not be read: it would never fire.
    """
    if not policy.rules:
        return
    from belljar.events.declared import declared, register

    found = declared(site)
    register(found.events)
    if found.problems:
        for rule in policy.rules:
            name = _undeclared(rule)
            if name:
                message = f"{name} is not declared; {found.problems[0]}"
                raise PolicyError(rule.origin, message)


def _undeclared(rule: Rule) -> str:
    """The event of which a refusing rule needs more than the name; "" where there is none."""
    from belljar.events.catalogue import lookup

    if rule.then not in ("deny", "kill") or (rule.target == "*" and rule.right == "*"):
        return ""
    names = (rule.event,) if isinstance(rule.event, str) else rule.event
    return next((n for n in names if "*" not in n and n[:1] != "!" and lookup(n) is None), "")
