"""Events of a watched program carry the trace and span that OpenTelemetry is in.

Each time the current span of a thread changes, the audit event `otel.context` (trace id, span id,
in hexadecimal; empty texts outside of a span) is raised in that thread. So it lies in the record
before what the span does, and the sinks know which events belong to it. Only OpenTelemetry's API is
needed; its own extension point for contexts is used.

Either in the environment of the program, without a line of code, where Belljar is installed in it:

    OTEL_PYTHON_CONTEXT=belljar belljar watch job.py

or in the program: `belljar.adapters.otel.install()`, which wraps the context that is in use. Tasks
of asyncio take turns in one thread: their spans are told where `follow_tasks(loop)` was called.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from threading import local

try:
    from opentelemetry import context as api
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"belljar.adapters.otel needs {error.name}, which is not installed: "
        "pip install 'belljar[otel]'",
        name=error.name,
    ) from None

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Generator
    from contextvars import Token
    from typing import Any, Final

    from opentelemetry.context.context import Context, _RuntimeContext

EVENT: Final = "otel.context"
_OUTSIDE: Final = ("", "")


class _Told(local):
    """What this thread said last."""

    ids: tuple[str, str] = _OUTSIDE


_told: Final = _Told()


def tell(context: Context | None = None) -> None:
    """Say which span this thread is in, unless it was said already: one audit event at most."""
    # Not above: OpenTelemetry loads this module while its own are being imported.
    from opentelemetry.trace import get_current_span

    span = get_current_span(context).get_span_context()
    ids = (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else _OUTSIDE
    if ids != _told.ids:
        _told.ids = ids
        sys.audit(EVENT, *ids)


class SpokenContext(ContextVarsRuntimeContext):
    """OpenTelemetry's own context, which tells when it changes; for `OTEL_PYTHON_CONTEXT`."""

    def attach(self, context: Context) -> Token[Context]:
        """As OpenTelemetry's."""
        token = super().attach(context)
        tell(context)
        return token

    def detach(self, token: Token[Context]) -> None:
        """As OpenTelemetry's."""
        super().detach(token)
        tell(self.get_current())


class _Around:
    """Another context of the program's choice, which tells when it changes."""

    def __init__(self, inner: _RuntimeContext) -> None:
        self._inner = inner

    def attach(self, context: Context) -> Token[Context]:
        token = self._inner.attach(context)
        tell(context)
        return token

    def get_current(self) -> Context:
        return self._inner.get_current()

    def detach(self, token: Token[Context]) -> None:
        self._inner.detach(token)
        tell(self._inner.get_current())


def install() -> None:
    """Tell the spans of all threads from here on; spans that are open are told, too. Calling it
    again changes nothing.

    >>> install()
    """
    inner: Any = api._RUNTIME_CONTEXT
    if not isinstance(inner, (SpokenContext, _Around)):
        api._RUNTIME_CONTEXT = _Around(inner)  # type: ignore[assignment]
        tell()


def follow_tasks(loop: AbstractEventLoop) -> None:
    """Tell the spans of the tasks that are made in `loop` from here on: each time one goes on.

    Raises `RuntimeError` where the loop has a task factory of its own, which is left alone.

    >>> import asyncio
    >>> follow_tasks(loop := asyncio.new_event_loop())
    >>> loop.close()
    """
    if loop.get_task_factory() not in (None, _factory):
        raise RuntimeError("this loop has a task factory of its own: call tell() in its tasks")
    loop.set_task_factory(_factory)


def _factory(
    loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **options: Any,
) -> Task[Any]:  # fmt: skip
    from asyncio import Task

    return Task(_Steps(coroutine), loop=loop, **options)


class _Steps:
    """A coroutine that tells its span before each step, in the context of its task."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # cr_frame and the like, for who prints tasks

    def send(self, value: Any) -> Any:
        tell()
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        tell()
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        found: Generator[Any, Any, Any] = self._inner.__await__()
        return found


Coroutine.register(_Steps)
