"""Which span a thread is in is told once for each change, before what the span does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk.trace", reason="pip install belljar[otel]")
from opentelemetry import context as api
from opentelemetry.sdk.trace import TracerProvider

import belljar
from belljar.adapters import otel

OUT = ("", "")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def tracer() -> Iterator[Any]:
    before = api._RUNTIME_CONTEXT
    otel.install()
    provider = TracerProvider(shutdown_on_exit=False)
    yield provider.get_tracer("test")
    provider.shutdown()
    api._RUNTIME_CONTEXT = before


def ids(span: Any) -> tuple[str, str]:
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def test_each_span_is_told_when_it_begins_and_when_another_goes_on(tracer: Any) -> None:
    with belljar.watching(events=["otel.context", "os.listdir"]) as events:
        with tracer.start_as_current_span("a") as a:
            os.listdir("/")
            with tracer.start_as_current_span("b") as b:
                os.listdir("/")
            os.listdir("/")
        os.listdir("/")
    told = [event.args if event.name == "otel.context" else "listed" for event in events]
    assert told == [ids(a), "listed", ids(b), "listed", ids(a), "listed", OUT, "listed"]


def test_what_is_said_already_is_not_said_again(tracer: Any) -> None:
    with tracer.start_as_current_span("a"), belljar.watching(events="otel.context") as events:
        for _ in range(3):
            api.detach(api.attach(api.set_value("key", "baggage")))
            otel.tell()
            otel.install()
    assert not list(events)


def test_threads_have_spans_of_their_own(tracer: Any) -> None:
    with belljar.watching(events="otel.context") as events, tracer.start_as_current_span("a") as a:

        def work() -> None:
            with tracer.start_as_current_span("b"):
                os.getpid()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    by_thread: dict[int, list[object]] = {}
    for event in events:
        by_thread.setdefault(event.thread, []).append(event.args)
    mine = by_thread.pop(threading.get_native_id())
    assert mine == [ids(a), OUT]
    (other,) = by_thread.values()
    assert other[1] == OUT
    assert other[0] != ids(a)


def test_tasks_that_take_turns_each_tell_their_own_span(tracer: Any) -> None:
    seen: list[tuple[str, tuple[str, str]]] = []

    async def work(name: str) -> None:
        with tracer.start_as_current_span(name) as span:
            for _ in range(3):
                os.listdir("/")
                seen.append((name, ids(span)))
                await asyncio.sleep(0)

    async def both() -> None:
        otel.follow_tasks(asyncio.get_running_loop())
        otel.follow_tasks(asyncio.get_running_loop())
        await asyncio.gather(work("a"), work("b"))

    with belljar.watching(events=["otel.context", "os.listdir"]) as events:
        asyncio.run(both())
    now, found = OUT, []
    for event in events:
        if event.name == "otel.context":
            now = event.args
        elif event.target == "/":
            found.append(now)
    assert found == [span for _, span in seen]
    assert len(set(found)) == 2


def test_a_task_that_is_cancelled_fails_or_gives_a_value_does_as_ever(tracer: Any) -> None:
    async def value() -> int:
        await asyncio.sleep(0)
        return 7

    async def fails() -> None:
        raise KeyError("x")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        otel.follow_tasks(loop)
        assert await asyncio.create_task(value(), name="seven") == 7
        with pytest.raises(KeyError):
            await asyncio.create_task(fails())
        task = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_loop_with_a_factory_of_its_own_is_left_alone() -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.set_task_factory(lambda loop, coroutine, **_: asyncio.Task(coroutine, loop=loop))
        with pytest.raises(RuntimeError, match="a task factory of its own"):
            otel.follow_tasks(loop)
    finally:
        loop.close()


@pytest.mark.parametrize(
    "first",
    ["from opentelemetry import trace", "from opentelemetry import context", "import belljar"],
)
def test_the_context_of_the_environment_tells_spans_without_a_line_of_code(
    tmp_path: Path, first: str
) -> None:
    metadata = tmp_path / "belljar-0.dist-info"  # as it is where Belljar is installed
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: belljar\nVersion: 0\n")
    point = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    name, value = next(iter(point["opentelemetry_context"].items()))
    (metadata / "entry_points.txt").write_text(f"[opentelemetry_context]\n{name} = {value}\n")
    code = (
        f"{first}\n"
        "import belljar\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "tracer = TracerProvider().get_tracer('t')\n"
        "with belljar.watching(events='otel.context') as events:\n"
        "    with tracer.start_as_current_span('a'): pass\n"
        "print(len(list(events)))\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), *sys.path]))
    environment = {**os.environ, "PYTHONPATH": path, "OTEL_PYTHON_CONTEXT": name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.stdout, done.stderr) == ("2\n", "")
