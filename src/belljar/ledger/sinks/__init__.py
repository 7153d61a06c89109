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
    from subprocess import Popen
    from typing import Final

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.forward import Forwarder as Forwarder

__all__ = ["Forwarder", "finish", "register"]

#: Seconds that the end of a run waits for readers of its descriptors.
PATIENCE: Final = 10.0
_following: dict[bytes, list[tuple[Sink, Popen[bytes]]]] = {}


def register(directory: str, sinks: Sequence[str], run: bytes) -> list[str]:
    """Make the ledger in `directory` forward `run` to `sinks`; their ids, to be named in START.

    Cheap where they are known already. A sink that is new begins at the ledger's end. One that
    writes to a descriptor (`jsonl:fd/3`) gets a process of its own that inherits it; call `finish`
    when the run has ended. One that cannot work here is told on standard error.
    Raises `UsageError` for what is no sink, `LedgerError` where it cannot be registered.

    >>> register("/tmp/example", ["jsonl:/tmp/x.jsonl"], bytes(16))  # doctest: +SKIP
    ['jsonl-93c2aa01']
    """
    if not sinks:
        return []
    from belljar.ledger.sinks import store
    from belljar.ledger.sinks.able import lacks
    from belljar.ledger.sinks.config import parse

    if directory.startswith("unix:"):
        raise UsageError("a collector has its own sinks; register them for its ledger")
    ids = []
    for sink in [parse(text, run) for text in sinks]:
        store.add(directory, sink, every_run=False)
        if why := lacks(sink):
            _warn(f"nothing will come to the sink {sink.text}: {why}")
        if sink.descriptor >= 0:
            from belljar.ledger.sinks.forward import follow

            _following.setdefault(run, []).append((sink, follow(directory, sink)))
        ids.append(sink.id)
    return ids


def finish(run: bytes) -> bool:
    """Wait until all of `run` is behind its descriptors: after its END is in the ledger, for
    `PATIENCE` at most. Whether it is; where not, standard error says so and it goes on alone.

    >>> finish(bytes(16))
    True
    """
    followers = _following.pop(run, None)
    if not followers:
        return True
    from subprocess import TimeoutExpired
    from time import monotonic

    end, late = monotonic() + PATIENCE, []
    for sink, child in followers:
        try:
            child.wait(max(0.0, end - monotonic()))
        except TimeoutExpired:
            late.append(sink.text)
            child.returncode = 0  # it outlives us: nobody has to wait for it
    if late:
        _warn(f"{', '.join(late)}: its reader is slow; the rest is written after this command")
    return not late


def _warn(what: str) -> None:
    import sys

    print(f"belljar: warning: {what}", file=sys.stderr)


def __getattr__(name: str) -> object:
    if name == "Forwarder":
        from belljar.ledger.sinks.forward import Forwarder

        return Forwarder
    raise AttributeError(f"module 'belljar.ledger.sinks' has no attribute {name!r}")
