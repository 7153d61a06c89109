"""What a guest may do: from a file and flags to a `Policy`, and from an event to a `Decision`.

Pure: no clock, and no I/O but the reading of the policy file itself. Names load on first use.

>>> from belljar.model import Policy
>>> from belljar.policy import from_flags
>>> from_flags(Policy(), [("--memory", "256M")], "/srv").limits.memory
268435456
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.policy.deciding import decide as decide
    from belljar.policy.file import load as load
    from belljar.policy.flags import from_flags as from_flags
    from belljar.policy.identity import digest as digest
    from belljar.policy.overview import explain as explain
    from belljar.policy.plain import from_plain as from_plain
    from belljar.policy.plain import to_plain as to_plain
    from belljar.policy.schema import json_schema as json_schema

# No module here bears the name of a function: importing it would hide the function.
_HOMES = {
    "decide": "deciding",
    "digest": "identity",
    "explain": "overview",
    "from_flags": "flags",
    "from_plain": "plain",
    "json_schema": "schema",
    "load": "file",
    "to_plain": "plain",
}

__all__ = [
    "decide",
    "digest",
    "explain",
    "from_flags",
    "from_plain",
    "json_schema",
    "load",
    "to_plain",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'belljar.policy' has no attribute {name!r}")
    value = getattr(__import__(f"belljar.policy.{home}", fromlist=[name]), name)
    globals()[name] = value
    return value
