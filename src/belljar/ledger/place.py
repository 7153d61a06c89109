"""Where a ledger lies: in a directory, or with a collector (`unix:` and its socket)."""

from __future__ import annotations

import os

from belljar.errors import LedgerError

#: What the name of a collector's socket begins with, where a ledger is named.
UNIX = "unix:"


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
    """The directory, or the collector, that the policy key `ledger` means; None for `none`.

    >>> resolve("none"), resolve("/var/lib/app/ledger"), resolve("unix:/run/belljar/collect.sock")
    (None, '/var/lib/app/ledger', 'unix:/run/belljar/collect.sock')
    """
    if setting == "none":
        return None
    if setting == "auto":
        return default_directory()
    if setting.startswith(UNIX):
        return UNIX + os.path.abspath(setting[len(UNIX) :])
    return os.path.abspath(setting)


def path_of(place: str) -> str:
    """The path that `place` (see `resolve`) has on this machine: a directory or a socket.

    >>> path_of("unix:/run/belljar/collect.sock")
    '/run/belljar/collect.sock'
    """
    return place.removeprefix(UNIX)


def readable(directory: str) -> None:
    """Raise `LedgerError` where `directory` names a collector: what it keeps is not ours to read.

    >>> readable("/var/lib/app/ledger")
    """
    if directory.startswith(UNIX):
        raise LedgerError(
            f"{directory} is a collector's socket, and the record is the collector's: read it "
            "where that keeps it, as the user that it runs as (belljar log ... DIR)"
        )
