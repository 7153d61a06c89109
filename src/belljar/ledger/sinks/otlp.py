"""OpenTelemetry logs and metrics, OTLP over HTTP, with the official SDK (the extra `otel`).

Each entry is one log record; its attributes are the fields of `docs/sinks.md` behind `belljar.`.
A batch counts as sent when the receiver answered that it took it.
"""

from __future__ import annotations

import os
import socket
import stat

from belljar.ledger.sinks.severity import OTEL
from belljar.ledger.sinks.transport import Down

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.fields import Item
    from belljar.ledger.sinks.metrics import Told

_TIMEOUT: Final = 10.0
#: Answers that the same bytes would get again: OTLP's specification, "non-retryable errors".
_NEVER: Final = (400, 413, 422)
_MOST_HEADERS: Final = 1 << 14
#: Attributes that OpenTelemetry's semantic conventions have a name for.
NAMES: Final = {
    "pid": "process.pid", "thread": "thread.id", "file": "code.file.path",
    "line": "code.line.number", "function": "code.function.name",
}  # fmt: skip


class Otlp:
    """The receiver of `sink`. Raises `Down` where the SDK is not installed."""

    overlap = 0.0
    stopped: Callable[[], bool] = bool

    def __init__(self, sink: Sink) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError as error:
            raise Down(f"{error.name} is not installed: pip install 'belljar[otel]'") from None
        from belljar import __version__
        from belljar.ledger.sinks.answers import Session

        scheme = "https" if sink.scheme == "otlp+https" else "http"
        host = f"[{sink.host}]" if ":" in sink.host else sink.host
        self._base = f"{scheme}://{host}:{sink.port}"
        self._session = Session()
        self._settings: dict[str, Any] = {
            "headers": headers(sink.option("headers")) if sink.option("headers") else None,
            "certificate_file": sink.option("ca") or None,
            "client_certificate_file": sink.option("cert") or None,
            "client_key_file": sink.option("key") or None,
        }
        self._metrics_wanted = sink.option("metrics", "on") != "off"
        self._only_metrics = sink.option("metrics") == "only"
        self._meter: Any = None
        self._exporter = OTLPLogExporter(
            f"{self._base}/v1/logs", timeout=_TIMEOUT, session=self._session, **self._settings
        )
        self._resource = Resource(
            {"service.name": "belljar", "service.version": __version__,
             "host.name": socket.gethostname()}
        )  # fmt: skip
        self._scope = InstrumentationScope("belljar.ledger", __version__)

    def send(self, items: Sequence[Item]) -> int:
        """Export all items; how many the receiver refused for good. Raises `Down`."""
        return 0 if self._only_metrics else self._export([self._record(item) for item in items])

    def meter(self, told: Callable[[], Told], own: dict[str, str]) -> None:
        """Report metrics, from here on, of what `told` gives; all of them have the attributes
        `own`."""
        if self._metrics_wanted and self._meter is None:
            from belljar.ledger.sinks.metrics import Meter

            self._meter = Meter(f"{self._base}/v1/metrics", self._resource, self._settings, own)
        if self._meter is not None:
            self._meter.told = told

    def idle(self) -> None:
        """Nothing has to be done in between."""

    def close(self) -> None:
        """Each request is on its own; there is nothing to let go of."""

    def shutdown(self) -> None:
        """Report metrics a last time."""
        if self._meter is not None:
            self._meter.provider.shutdown(2000)
            self._meter = None

    def _export(self, records: list[Any]) -> int:
        from opentelemetry.sdk._logs.export import LogRecordExportResult

        self._session.forget()
        result = self._exporter.export(records)
        if result is LogRecordExportResult.SUCCESS:
            return min(len(records), self._rejected())
        if self._session.status in _NEVER:
            if len(records) == 1:
                return 1
            half = len(records) // 2  # one of them is what it does not take
            return self._export(records[:half]) + self._export(records[half:])
        status = self._session.status
        answered = f"it answered HTTP {status}" if status else "no answer"
        raise Down(f"{self._base}: {answered}")

    def _rejected(self) -> int:
        """How many the receiver says it refused (`partial_success`), which is final."""
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceResponse,
        )

        try:
            answer = ExportLogsServiceResponse.FromString(self._session.answer)
        except DecodeError:
            return 0  # a receiver that answers in JSON, or not at all: it said 200
        return max(0, int(answer.partial_success.rejected_log_records))

    def _record(self, item: Item) -> Any:
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.sdk._logs import ReadableLogRecord
        from opentelemetry.trace import (
            NonRecordingSpan,
            SpanContext,
            TraceFlags,
            set_span_in_context,
        )

        trace, span = int(item.trace or "0", 16), int(item.span or "0", 16)
        around = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(0))
        record = LogRecord(
            timestamp=item.entry.time,
            observed_timestamp=item.entry.recorded,
            context=set_span_in_context(NonRecordingSpan(around)),
            severity_text=item.severity,
            severity_number=SeverityNumber(OTEL[item.level]),
            body=utf8(item.message),
            attributes=attributes(item),
            event_name=utf8(item.name[:256]),
        )
        return ReadableLogRecord(record, self._resource, self._scope)


def attributes(item: Item) -> dict[str, str | int]:
    """The fields of `item` by OpenTelemetry's names."""
    found: dict[str, str | int] = {}
    for name, value in item.fields:
        if name in ("trace", "span", "time"):
            continue  # a log record has places of their own for these
        key = NAMES.get(name, f"belljar.{name}")
        if type(value) is int and -(1 << 63) <= value < 1 << 63:
            found[key] = value
            continue
        found[key] = utf8(str(value))
    if item.cut:
        found["belljar.cut"] = ",".join(f"{name}:{size}" for name, size in item.cut)
    return found


def utf8(text: str) -> str:
    """`text` as protobuf can have it: what is no UTF-8 as `\\udcNN`, all else unchanged."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def headers(path: str) -> dict[str, str]:
    """`Name: value` lines of a file that nobody else can read. Raises `Down`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            data = file.read(_MOST_HEADERS + 1)
    except OSError as error:
        raise Down(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
        raise Down(f"{path}: others can read it; chmod 600 it")
    lines = [line.strip() for line in data.decode("latin-1").splitlines() if line.strip()]
    pairs = [line.partition(":") for line in lines]
    if len(data) > _MOST_HEADERS or not all(name.strip() and colon for name, colon, _ in pairs):
        raise Down(f"{path}: expected lines 'Name: value'")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
