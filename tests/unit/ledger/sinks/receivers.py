"""An OTLP receiver: the official protobuf messages behind a small HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install belljar[otel]")
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb


class Otlp(ThreadingHTTPServer):
    """Takes logs and metrics; `refuse` decides over a request of logs before it is kept."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.logs: list[Any] = []
        self.metrics: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.refuse: Callable[[list[Any]], int] = lambda _records: 200
        self.partial = 0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def __exit__(self, *exception: Any) -> None:
        self.shutdown()
        self._thread.join()
        super().__exit__(*exception)

    @property
    def place(self) -> str:
        return f"otlp+http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Otlp

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.headers.append({k.lower(): v for k, v in self.headers.items()})
        status, answer = 200, b""
        if self.path == "/v1/metrics":
            self.server.metrics.append(metrics_pb.ExportMetricsServiceRequest.FromString(data))
        else:
            assert self.path == "/v1/logs"
            request = logs_pb.ExportLogsServiceRequest.FromString(data)
            records = [r for one in request.resource_logs for s in one.scope_logs
                       for r in s.log_records]  # fmt: skip
            status = self.server.refuse(records)
            if status == 200:
                self.server.logs += [(request.resource_logs[0].resource, r) for r in records]
                response = logs_pb.ExportLogsServiceResponse()
                response.partial_success.rejected_log_records = self.server.partial
                answer = response.SerializeToString()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_words: object) -> None:
        return


def attributes(record: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in record.attributes}


def points(request: Any) -> dict[tuple[str, str], float]:
    found = {}
    for one in request.resource_metrics:
        for scope in one.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data"))
                for point in data.data_points:
                    right = {a.key: a.value.string_value for a in point.attributes}
                    value = getattr(point, point.WhichOneof("value"))
                    found[metric.name, right.get("belljar.right", "")] = value
    return found
