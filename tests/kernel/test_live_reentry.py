"""Host functions that ask the sandbox which called them, from their own thread or another."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import belljar

LONG = 60.0  # seconds; this machine may do much else


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as one:
        yield one


def _in_a_thread(work: Callable[[], object]) -> object:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results.pop()


def test_a_host_function_may_wait_for_a_thread_that_asks_its_sandbox(
    pool: ThreadPoolExecutor,
) -> None:
    def mapped() -> list[int]:
        return list(pool.map(box.eval, ["1", "2", "3", "4"]))

    def twice() -> object:  # a thread that waits for a thread that asks
        return _in_a_thread(lambda: pool.submit(box.eval, "6 * 7").result())

    def handed() -> object:
        context = contextvars.copy_context()
        return pool.submit(context.run, box.eval, "6 * 7").result()

    with belljar.Sandbox(ledger="none", wall=LONG) as box:
        limit = {"limited": belljar.Limit(seconds=LONG)}
        functions = {
            "joined": lambda: _in_a_thread(lambda: box.eval("6 * 7")),
            "pooled": lambda: pool.submit(box.eval, "6 * 7").result(),
            "limited": lambda: _in_a_thread(lambda: box.eval("6 * 7")),
            "nested": lambda: _in_a_thread(lambda: box.eval("host.f.joined()")),
            "mapped": mapped, "twice": twice, "handed": handed,
        }  # fmt: skip
        box.share("f", functions=functions, limits=limit)
        assert box.eval("host.f.mapped()") == [1, 2, 3, 4]
        for name in functions.keys() - {"mapped"}:
            assert box.eval(f"host.f.{name}()") == 42, name


def test_a_call_that_nobody_waits_for_waits_for_its_turn() -> None:
    begun, over = threading.Event(), threading.Event()
    results: list[object] = []
    with belljar.Sandbox(ledger="none", wall=LONG) as box:

        def slow() -> None:
            begun.set()
            over.wait(LONG)

        box.share("slow", functions=slow)
        one = threading.Thread(target=lambda: box.run("seen = []; host.slow(); seen.append('one')"))
        one.start()
        assert begun.wait(LONG)
        two = threading.Thread(target=lambda: results.append(box.eval("seen")))
        two.start()
        two.join(0.5)  # it looks a few times meanwhile
        assert two.is_alive()
        over.set()
        two.join(LONG)
        one.join(LONG)
    assert results == [["one"]]


def test_two_sandboxes_whose_host_functions_ask_each_other_do_not_wait_for_ever(
    pool: ThreadPoolExecutor,
) -> None:
    both = threading.Barrier(2)
    with (
        belljar.Sandbox(ledger="none", wall=LONG) as one,
        belljar.Sandbox(ledger="none", wall=LONG) as other,
    ):

        def asks(box: belljar.Sandbox) -> Callable[[], Any]:
            def ask() -> object:
                both.wait(LONG)
                return box.eval("42")

            return ask

        one.share("f", functions=asks(other))
        other.share("f", functions=asks(one))
        answers = [pool.submit(box.eval, "host.f()") for box in (one, other)]
        assert [answer.result(LONG) for answer in answers] == [42, 42]


def test_what_waits_behind_a_call_that_cannot_end_learns_that_the_guest_has_ended() -> None:
    told = threading.Event()
    errors: list[BaseException] = []
    with belljar.Sandbox(ledger="none", wall=1) as box:

        def other() -> None:
            try:
                box.eval("1")
            except belljar.SandboxEnded as error:
                errors.append(error)
            told.set()

        def waits() -> bool:
            thread = threading.Thread(target=other)
            thread.start()
            return told.wait(LONG)  # an event may be set by anybody: that is not seen

        box.share("waits", functions=waits)
        result = box.run("host.waits()")
    assert result.ended_by == "wall"
    assert "(wall)" in str(errors[0])


def test_a_callback_that_asks_its_sandbox_is_refused_at_once() -> None:
    with (
        belljar.Sandbox(ledger="none", wall=LONG, on_output=lambda _n, _data: box.eval("1")) as box,
        pytest.raises(belljar.BelljarError, match="cannot ask its own sandbox during a call"),
    ):
        box.run("print('x')")
    made = threading.Event()

    def source() -> str:
        made.wait(LONG)
        return str(box.eval("1"))

    with belljar.Sandbox(ledger="none", wall=LONG, stdin=source) as box:
        made.set()
        with pytest.raises(belljar.BelljarError, match="cannot ask its own sandbox during a call"):
            box.run("import os\nos.read(0, 1)")


def test_sys_exit_of_a_host_function_ends_neither_host_nor_guest() -> None:
    class Door:
        shut = False

        @property
        def open(self) -> bool:
            if self.shut:
                sys.exit(3)
            return True

    door = Door()
    with belljar.Sandbox(ledger="none") as box:
        box.share("leave", functions=lambda: sys.exit("/a/path"))
        box.share(
            "late", functions=lambda: sys.exit(4), limits={"__call__": belljar.Limit(seconds=60)}
        )
        box.share("checked", functions={"f": len}, allow={"f": lambda _x: sys.exit(5)})
        box.share("door", door, attributes=["open"])
        door.shut = True
        for what in ("leave()", "late()", "door.open"):
            result = box.run(f"host.{what}")
            assert result.error is not None
            assert result.error.type_name == "belljar.guest.HostError"
            place = f"host.{what.removesuffix('()')}"
            assert result.error.message == f"{place}: it called sys.exit()"
            assert result.denials[0].decision.because == "it called sys.exit()"
        assert box.run("host.checked.f('')").error.type_name == "PermissionError"  # type: ignore[union-attr]
        assert box.eval("6 * 7") == 42


def test_sys_exit_of_a_host_coroutine_does_not_end_the_loop() -> None:
    async def leave() -> None:
        sys.exit(3)

    async def main() -> None:
        async with belljar.AsyncSandbox(ledger="none") as box:
            await box.share("leave", functions=leave)
            result = await box.run("host.leave()")
            assert result.error is not None
            assert "it called sys.exit()" in result.error.message
            assert await box.eval("6 * 7") == 42

    asyncio.run(main())


def test_sys_exit_for_a_thread_of_the_guest_s_that_asks_while_nobody_waits() -> None:
    told = threading.Event()
    with belljar.Sandbox(ledger="none") as box:
        box.share("leave", functions=lambda: sys.exit(3))
        box.share("told", functions=told.set)
        box.run(
            "import threading, time\ndef ask():\n    time.sleep(0.2)\n    try: host.leave()\n"
            "    finally: host.told()\nthreading.Thread(target=ask, daemon=True).start()"
        )
        assert told.wait(LONG)
        assert box.eval("6 * 7") == 42
