"""Where a ledger lies."""

from __future__ import annotations

import os


def default_directory() -> str:
    """`$XDG_STATE_HOME/belljar/ledger`, else `~/.local/state/belljar/ledger`.

    A relative `XDG_STATE_HOME` does not count, as its specification says.

    >>> default_directory().endswith("/belljar/ledger")
    True
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = os.path.expanduser("~/.local/state")
    return os.path.join(state, "belljar", "ledger")


def resolve(setting: str) -> str | None:
    """The directory that the policy key `ledger` means; None for `none`.

    >>> resolve("none"), resolve("/var/lib/app/ledger")
    (None, '/var/lib/app/ledger')
    """
    if setting == "none":
        return None
    if setting == "auto":
        return default_directory()
    return os.path.abspath(setting)
