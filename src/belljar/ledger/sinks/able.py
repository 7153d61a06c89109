"""Whether a sink can work at all here: what no waiting will mend, told before anything is lost."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.sinks.config import Sink

_OTEL: Final = ("opentelemetry.sdk._logs", "opentelemetry.exporter.otlp.proto.http")
_AUDIT_WRITE: Final = 29  # CAP_AUDIT_WRITE, linux/capability.h


def lacks(sink: Sink) -> str:
    """What `sink` can never work without, as one line with its remedy; empty where it has all.

    A receiver that is not there is no such thing: it may come.

    >>> from belljar.ledger.sinks.config import parse
    >>> lacks(parse("jsonl:/tmp/x"))
    ''
    """
    if sink.scheme.startswith("otlp"):
        missing = next((name for name in _OTEL if not _installed(name)), "")
        return f"{missing} is not installed: pip install 'belljar[otel]'" if missing else ""
    if sink.scheme == "audit" and not _may_write_audit():
        return "this user has not CAP_AUDIT_WRITE, without which the kernel takes no records"
    return ""


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except ImportError:  # a package that it lies in is missing
        return False


def _may_write_audit() -> bool:
    try:
        with open("/proc/self/status", "rb") as file:
            line = next(line for line in file if line.startswith(b"CapEff:"))
        return bool(int(line.split()[1], 16) >> _AUDIT_WRITE & 1)
    except (OSError, StopIteration, ValueError, IndexError):
        return True  # nobody knows: the kernel will say
