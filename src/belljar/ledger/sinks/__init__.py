"""Where the ledger goes besides: syslog, journald, the audit subsystem, OpenTelemetry, JSON lines.

The ledger is the queue: each sink reads it from a position of its own, in a process that is not
the recorder, so a slow or dead sink delays nobody and catches up later. `docs/sinks.md` tells what
each receiver gets. Here is what a run needs, cheap to import.
"""

from __future__ import annotations

from belljar.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.ledger.sinks.forward import Forwarder as Forwarder

__all__ = ["Forwarder", "register"]


def register(directory: str, sinks: Sequence[str], run: bytes) -> list[str]:
    """Make the ledger in `directory` forward `run` to `sinks`; their ids, to be named in START.

    Cheap where they are known already. A sink that is new begins at the ledger's end. One that
    writes to a descriptor (`jsonl:fd/3`) gets a process of its own that inherits it.
    Raises `UsageError` for what is no sink, `LedgerError` where it cannot be registered.

    >>> register("/tmp/example", ["jsonl:/tmp/x.jsonl"], bytes(16))  # doctest: +SKIP
    ['jsonl-93c2aa01']
    """
    if not sinks:
        return []
    from belljar.ledger.sinks import store
    from belljar.ledger.sinks.config import parse

    if directory.startswith("unix:"):
        raise UsageError("a collector has its own sinks; register them for its ledger")
    ids = []
    for sink in [parse(text, run) for text in sinks]:
        store.add(directory, sink, every_run=False)
        if sink.descriptor >= 0:
            from belljar.ledger.sinks.forward import follow

            follow(directory, sink)
        ids.append(sink.id)
    return ids


def __getattr__(name: str) -> object:
    if name == "Forwarder":
        from belljar.ledger.sinks.forward import Forwarder

        return Forwarder
    raise AttributeError(f"module 'belljar.ledger.sinks' has no attribute {name!r}")
