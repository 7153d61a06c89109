"""Metrics over OTLP, for one ledger and sink: events, denials, alerts, drops, and how far it is
behind.

The counters are those that are kept with the sink's position, so they go on over restarts and count
every entry once, also where entries are sent twice.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

    from belljar.ledger.sinks.store import Position

    #: The position, the totals by name, and how many seconds the receiver is behind.
    Told = tuple[Position, dict[str, int], float]

_EVERY: Final = 10_000  # milliseconds
_TIMEOUT: Final = 5_000


class Meter:
    """Reports what `told` gives, every ten seconds, in a thread of the SDK's own."""

    def __init__(
        self, endpoint: str, resource: Any, settings: dict[str, Any], own: dict[str, str]
    ) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        from belljar.ledger.sinks.answers import Session

        self.told: Callable[[], Told] | None = None
        exporter = OTLPMetricExporter(
            endpoint, timeout=_TIMEOUT / 1000, session=Session(), **settings
        )
        reader = PeriodicExportingMetricReader(exporter, _EVERY, _TIMEOUT)
        self.provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = self.provider.get_meter("belljar.ledger")
        counter = meter.create_observable_counter
        self._own = own
        counter("belljar.events", [self._events], "{event}", "recorded events, by right")
        for name, unit, text in (
            ("denials", "{denial}", "what was denied"),
            ("alerts", "{alert}", "rules that fired"),
            ("calls", "{call}", "calls of what the host shares"),
            ("drops", "{event}", "events that were lost before the record"),
            ("runs", "{run}", "programs that were run or watched"),
        ):
            counter(f"belljar.{name}", [self._of(name)], unit, text)
        counter("belljar.sink.lost", [self._lost], "{entry}", "entries this sink will not get")
        meter.create_observable_gauge(
            "belljar.sink.lag", [self._lag], "s", "age of the oldest entry not yet sent"
        )

    def _now(self) -> Told | None:
        return self.told() if self.told is not None else None

    def _events(self, _options: Any) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        now = self._now()
        for name, value in list(now[1].items()) if now else []:
            if name.startswith("events:"):
                yield Observation(
                    value, {**self._own, "belljar.right": name.removeprefix("events:")}
                )

    def _of(self, name: str) -> Callable[[Any], Iterable[Any]]:
        from opentelemetry.metrics import Observation

        def observe(_options: Any) -> Iterable[Any]:
            now = self._now()
            return [Observation(now[1].get(name, 0), self._own)] if now else []

        return observe

    def _lost(self, _options: Any) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        now = self._now()
        return [Observation(now[0].lost, self._own)] if now else []

    def _lag(self, _options: Any) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        now = self._now()
        return [Observation(now[2], self._own)] if now else []
