"""A policy as rows for a person: what, value, where it was written."""

from __future__ import annotations

from belljar.policy.keys import GRANTING, KEYS
from belljar.policy.units import format_size, format_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.model import Policy, Rule
    from belljar.policy.keys import Key


def explain(policy: Policy) -> list[tuple[str, str, str]]:
    """Every grant and setting as `(key, value, origin)`, in the order of the policy file.

    Text is as written and may hold anything: escape it before printing.
    """
    rows: list[tuple[str, str, str]] = []
    for key in KEYS:
        if key.kind in GRANTING:
            for grant in policy.grants:
                if grant.right == key.name:
                    value = grant.target
                    if grant.source not in ("", grant.target):
                        value += f" = {grant.source}"
                    if grant.optional:
                        value += " (if it exists)"
                    rows.append((key.dotted, value, grant.origin))
        else:
            rows.append((key.dotted, _value(policy, key), policy.origin(key.dotted)))
    for rule in policy.rules:
        rows.append(("rule", f"{_patterns(rule)}: {rule.then}", rule.origin))
    for name in policy.protections:
        rows.append(("protections", name, policy.origin(f"protections.{name}")))
    return rows


def _patterns(rule: Rule) -> str:
    parts = []
    for name in ("event", "target", "right", "package", "stack", "shadows"):
        patterns = getattr(rule, name)
        if patterns not in ("", "*") or name in ("event", "target", "right"):
            text = patterns if isinstance(patterns, str) else " or ".join(patterns)
            parts.append(f"{name} {text}")
    if rule.after is not None:
        parts.append(f"after ({_patterns(rule.after)})")
    return ", ".join(parts)


def _value(policy: Policy, key: Key) -> str:
    value = getattr(policy.limits if key.section == "limits" else policy, key.field)
    if key.kind == "size":
        return format_size(value)
    if key.kind == "time":
        return format_time(value)
    if key.kind == "bool":
        return "true" if value else "false"
    if key.kind == "env":
        return ", ".join(n if v is True else f"{n}={v}" for n, v in value) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value)
