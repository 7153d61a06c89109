"""Functions, iterators and context managers, in both directions, over a real bridge."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from bridged import Bridged

from belljar.errors import GuestError, GuestProtocolError
from belljar.sandbox.bridge.guests import GuestContext, GuestFunction, GuestIterator
from belljar.sandbox.bridge.limits import Limit


@pytest.fixture
def box() -> Iterator[Bridged]:
    with Bridged() as one:
        yield one


def test_a_guests_function_is_called_by_a_hosts_function(box: Bridged) -> None:
    box.share("tools", functions={"each": lambda call, items: [call(one) for one in items]})
    assert box.run("host.tools.each(lambda x: x * x, [1, 2, 3])") == [1, 4, 9]


def test_a_guests_function_is_a_result_and_is_called_later(box: Bridged) -> None:
    double = box.run("lambda x, *, times=2: x * times")
    assert type(double) is GuestFunction
    assert double(21) == 42
    assert double("ab", times=3) == "ababab"
    assert box.run("int")("17") == 17


def test_what_a_guests_function_raises_is_told_and_is_not_that_exception(box: Bridged) -> None:
    fail = box.run("def fail(): raise LookupError('nothing')\nfail")
    with pytest.raises(GuestError) as error:
        fail()
    assert (error.value.type_name, error.value.message) == ("LookupError", "nothing")


def test_a_guests_error_comes_back_through_the_host_under_its_name(box: Bridged) -> None:
    box.share("tools", functions={"do": lambda call: call()})
    source = (
        "def fail(): raise LookupError('nothing')\n"
        "try: host.tools.do(fail)\n"
        "except LookupError as e: found = (type(e).__name__, str(e))\n"
        "found"
    )
    assert box.run(source) == ("LookupError", "nothing")


def test_host_and_guest_call_one_another_deep(box: Bridged) -> None:
    box.share("tools", functions={"down": lambda call, n: n if n == 0 else call(n - 1) + 1})
    source = "def again(n): return host.tools.down(again, n)\nagain(12)"
    assert box.run(source) == 12


def test_a_hosts_function_is_an_argument(box: Bridged) -> None:
    box.run("def apply(f, *a, **k): return f(*a, **k)")
    assert box.call("apply", lambda x, y=0: (x, y), 1, y=2) == (1, 2)
    kept: list[object] = []
    box.call("apply", kept.append, [1])
    assert kept == [[1]]


def test_a_hosts_generator_is_gone_through_by_the_guest(box: Bridged) -> None:
    box.run("def collect(items): return [x for x in items]")
    ended: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(4)
        finally:
            ended.append("yes")

    assert box.call("collect", numbers()) == [0, 1, 2, 3]
    assert ended == ["yes"]


def test_an_iterable_of_the_hosts_is_gone_through_where_it_is_listed(box: Bridged) -> None:
    class Rows:
        def __iter__(self) -> Iterator[int]:
            return iter((1, 2))

        def some(self) -> Iterator[int]:
            yield 7

    box.share("rows", Rows(), methods=["__iter__", "some"], returns={"some": ["__next__"]})
    assert box.run("[*host.rows], [*host.rows.some()]") == ([1, 2], [7])
    box.share("itself", functions={"rows": lambda: iter("ab")}, returns={"rows": ["__iter__"]})
    assert box.run("[*host.itself.rows()]") == ["a", "b"]


def test_a_guests_iterator_is_gone_through_by_the_host(box: Bridged) -> None:
    rows = box.run("(n * n for n in range(4))")
    assert type(rows) is GuestIterator
    assert [*rows] == [0, 1, 4, 9]
    box.run("closed = []\ndef g():\n try:\n  yield 1\n finally: closed.append(1)")
    rows = box.call("g")
    assert next(rows) == 1
    rows.close()
    assert box.run("closed") == [1]
    failing = box.run("(1 // 0 for n in range(4))")
    with pytest.raises(GuestError, match="ZeroDivisionError"):
        next(failing)


def test_a_guests_stop_is_no_stop_of_the_hosts(box: Bridged) -> None:
    box.run("def stop(): raise StopIteration")
    stop = box.run("stop")

    def gone_through() -> Iterator[object]:
        yield stop()

    with pytest.raises(GuestError):
        next(gone_through())


def test_context_managers_of_the_host(box: Bridged) -> None:
    steps: list[object] = []

    class Lock:
        def __enter__(self) -> Lock:
            steps.append("in")
            return self

        def __exit__(self, kind: object, error: object, trace: object) -> None:
            steps.append((kind, str(error), trace))

        def held(self) -> bool:
            return True

    box.share("lock", Lock(), methods=["__enter__", "__exit__", "held"])
    assert box.run("with host.lock as it: found = it.held(), it == host.lock\nfound") == (
        True,
        True,
    )
    with pytest.raises(GuestError, match="division by zero"):
        box.run("with host.lock: 1/0")
    told = (GuestError, "ZeroDivisionError: division by zero", None)
    assert steps == ["in", (None, "None", None), "in", told]


def test_context_managers_of_the_guest(box: Bridged) -> None:
    box.run(
        "steps = []\n"
        "class Lock:\n"
        "    def __enter__(self): steps.append('in'); return 5\n"
        "    def __exit__(self, kind, error, trace): steps.append((str(kind), str(error)))\n"
    )
    lock = box.run("Lock()")
    assert type(lock) is GuestContext
    with lock as value:
        assert value == 5
    with contextlib.suppress(ValueError), lock:
        raise ValueError("of the host's")
    assert box.run("steps") == [
        "in", ("None", "None"), "in", ("<class 'ValueError'>", "of the host's"),
    ]  # fmt: skip


def test_async_functions_of_the_host_are_called_and_awaited(box: Bridged) -> None:
    async def get(name: str) -> str:
        await asyncio.sleep(0)
        return name.upper()

    box.share("db", functions={"get": get})
    assert box.run("host.db.get('a')") == "A"
    source = (
        "import asyncio\n"
        "async def main():\n"
        "    beats = []\n"
        "    async def beat():\n"
        "        beats.append(1)\n"
        "    other = asyncio.create_task(beat())\n"
        "    found = await asyncio.gather(host.db.aio.get('a'), host.db.aio.get('b'))\n"
        "    await other\n"
        "    return found, beats\n"
        "asyncio.run(main())"
    )
    assert box.run(source) == (["A", "B"], [1])


def test_an_async_function_runs_on_the_loop_that_the_host_gave(box: Bridged) -> None:
    loops: list[object] = []

    async def where(call: GuestFunction) -> object:
        loops.append(asyncio.get_running_loop())
        return await call.aio(20), call(1)

    async def main() -> object:
        box.objects.loop = asyncio.get_running_loop()
        return await asyncio.to_thread(box.run, "host.db.where(lambda x: x + 1)")

    box.share("db", functions={"where": where})
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        assert runner.run(main()) == (21, 2)
    assert loops == [loop]
    assert box.run("host.db.where(lambda x: x + 2)") == (
        22,
        3,
    )  # the loop has ended: one of its own


def test_async_iterators_and_context_managers_of_the_host(box: Bridged) -> None:
    steps: list[str] = []

    class Session:
        async def __aenter__(self) -> Session:
            steps.append("in")
            return self

        async def __aexit__(self, *about: object) -> None:
            steps.append("out")

        async def rows(self) -> AsyncIterator[int]:
            for number in range(3):
                await asyncio.sleep(0)
                yield number

    names = ["__aenter__", "__aexit__", "rows"]
    box.share("db", Session(), methods=names, returns={"rows": ["__anext__"]})
    source = (
        "import asyncio\n"
        "async def main():\n"
        "    async with host.db as db:\n"
        "        return [row async for row in db.rows()]\n"
        "asyncio.run(main())"
    )
    assert box.run(source) == [0, 1, 2]
    assert steps == ["in", "out"]


def test_async_functions_and_iterators_of_the_guest_run_to_their_end(box: Bridged) -> None:
    box.run(
        "import asyncio\n"
        "async def double(x):\n"
        "    await asyncio.sleep(0)\n"
        "    return 2 * x\n"
        "async def rows():\n"
        "    for n in range(3): yield n\n"
    )
    double = box.run("double")
    assert double(4) == 8
    assert [*box.run("rows()")] == [0, 1, 2]

    async def main() -> object:
        return await double.aio(5), [row async for row in box.run("rows()")]

    assert asyncio.run(main()) == (10, [0, 1, 2])
    box.share("tools", functions={"do": lambda call: call(6)})
    source = "async def main(): return host.tools.do(double)\nasyncio.run(main())"
    assert box.run(source) == 12  # while the guest's own loop runs in the thread that waits


def test_a_function_with_a_time_limit_may_call_the_guest_back(box: Bridged) -> None:
    functions = {"each": lambda call: [call(n) for n in range(3)]}
    box.share("tools", functions=functions, limits={"each": Limit(seconds=60)})
    assert box.run("host.tools.each(lambda x: x + 1)") == [1, 2, 3]


def test_a_guests_function_that_was_given_back_is_not_called(box: Bridged) -> None:
    call = box.run("len")
    call.revoke()
    with pytest.raises(ReferenceError, match="given back"):
        call("abc")
    call.revoke()


def test_a_guests_function_with_a_deadline_ends_the_guest_that_misses_it(box: Bridged) -> None:
    call = box.run("import time\nlambda: time.sleep(600)")
    call.deadline = 0.05
    with pytest.raises(TimeoutError):
        call()
    box.plain.process.kill()


def test_a_guests_function_goes_back_to_it_as_itself(box: Bridged) -> None:
    function = box.run("def f(): pass\nf")
    box.run("def same(other): return other is f")
    assert box.call("same", function) is True


def test_functions_are_called_from_several_threads_of_the_guest(box: Bridged) -> None:
    box.share("tools", functions={"add": lambda a, b, call: call(a + b)})
    source = (
        "import threading\n"
        "found = []\n"
        "def work(n):\n"
        "    for m in range(20): found.append(host.tools.add(n, m, lambda x: x + 1) - n - m)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "found == [1] * 100"
    )
    assert box.run(source) is True


def test_functions_are_called_from_several_threads_of_the_host(box: Bridged) -> None:
    call = box.run("lambda x: x * 2")
    found: list[bool] = []

    def work() -> None:
        found.append([call(n) for n in range(50)] == [n * 2 for n in range(50)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_an_answer_for_a_next_item_that_is_none_is_no_item(box: Bridged) -> None:
    rows = box.run("iter([1])")
    box.run("side._method.__func__.__globals__['use_lent'] = lambda *a: (1, 2)")
    with pytest.raises(GuestProtocolError):
        next(rows)
