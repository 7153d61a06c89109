"""Arrays, the executor and asyncio with live sandboxes under the real walls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import numpy as np
import pytest

import belljar
from belljar.errors import GuestError, SandboxEnded

BIG = 200_000


@pytest.fixture(scope="module")
def box() -> Iterator[belljar.Sandbox]:
    with belljar.Sandbox(ledger="none", import_=["numpy"]) as one:
        yield one


def test_arrays_cross_both_ways(box: belljar.Sandbox) -> None:
    box.run("def double(a):\n    a *= 2\n    return a", check=True)
    assert (box.call("double", np.arange(BIG)) == 2 * np.arange(BIG)).all()
    mine = belljar.array((BIG,), "f8")
    mine[:] = 1
    box.put(mine=mine)
    assert box.eval("float(mine.sum())") == BIG
    with pytest.raises(GuestError, match="read-only"):
        box.call("double", mine)
    assert np.shares_memory(box.get("mine"), mine)
    box.run("import belljar\ndef make(n):\n    a = belljar.array((n,))\n    a[:] = 3\n    return a")
    got = box.call("make", BIG)
    assert (got == 3).all()
    assert type(got.base).__name__ == "mmap"


def test_the_guests_part_of_shared_memory_has_a_limit() -> None:
    with belljar.Sandbox(ledger="none", import_=["numpy"], memory="300M") as box:
        assert box.run("import belljar\na = belljar.array((25 << 20,))").error is None
        error = box.run("b = belljar.array((25 << 20,))").error
        assert error is not None
        assert error.type_name == "MemoryError"
        assert box.run("del a").error is None
        assert box.run("b = belljar.array((25 << 20,))").error is None


def test_without_numpy_inside_an_array_is_a_memoryview() -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.put(a=np.arange(BIG, dtype="i4").reshape(2, -1))
        assert box.eval("(a.shape, a[1, 0], type(a).__name__)") == (
            (2, BIG // 2),
            BIG // 2,
            "memoryview",
        )
        assert box.eval("bytes(3_000_000)") == bytes(3_000_000)


def square(value: int) -> int:
    return value * value


def test_the_executor_runs_functions_in_sandboxes() -> None:
    with belljar.SandboxExecutor(max_workers=1, ledger="none", modules={"m": "import os"}) as pool:
        assert list(pool.map(square, range(5))) == [0, 1, 4, 9, 16]
        assert pool.submit("math:gcd", 12, 18).result(60) == 6
        bad = pool.submit("os:listdir", "/etc/ssl").exception(60)
        assert isinstance(bad, GuestError)
        died = pool.submit("os:abort").exception(60)
        assert isinstance(died, belljar.WorkerEnded)
        assert died.ended_by == "signal"
        assert pool.submit(square, 7).result(60) == 49


def test_a_sandbox_is_awaited_and_its_functions_run_on_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def answer(value: int) -> int:
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0)
            return value + 1

        async with belljar.AsyncSandbox(ledger="none") as box:
            await box.put(x=5)
            await box.share("f", functions={"answer": answer})
            assert await box.eval("host.f.answer(x)") == 6
            assert await box.get("x") == 5
            assert await box.call("math:gcd", 4, 6) == 2
            result = await box.run("print('a')\nx")
            assert (result.value, result.stdout) == (5, b"a\n")
            with pytest.raises(GuestError, match="NameError"):
                await box.eval("y")
            several = await asyncio.gather(*(box.eval(f"{n} * 2") for n in range(5)))
            assert several == [0, 2, 4, 6, 8]
            await box.reset()
        with pytest.raises(SandboxEnded):
            await box.eval("1")

    asyncio.run(main())


def test_cancelling_a_call_ends_the_guest_at_once() -> None:
    async def main() -> None:
        async with belljar.AsyncSandbox(ledger="none") as box:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await box.run("while True: pass")
            until = time.monotonic() + 30
            while not box.ended_by and time.monotonic() < until:
                await asyncio.sleep(0.01)
            assert box.ended_by == "interrupt"
            with pytest.raises(SandboxEnded):
                await box.eval("1")

    asyncio.run(main())


def test_a_start_that_is_cancelled_leaves_no_guest() -> None:
    from belljar.sandbox.live.supervisor import supervisor

    async def main() -> None:
        box = belljar.AsyncSandbox(ledger="none")
        task = asyncio.create_task(box.start())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = len(supervisor().guests)
    asyncio.run(main())
    import gc
    import threading

    for thread in threading.enumerate():
        if thread.name == "belljar-call":
            thread.join(60)
    gc.collect()
    until = time.monotonic() + 60
    while len(supervisor().guests) > before and time.monotonic() < until:
        time.sleep(0.01)
    assert len(supervisor().guests) <= before


def test_the_first_large_value_may_be_an_answer_to_any_thread_of_the_guest() -> None:
    for source in (
        "n = len(host.big.give())",
        "import threading\n"
        "got = []\n"
        "t = threading.Thread(target=lambda: got.append(host.big.give()))\n"
        "t.start(); t.join(); n = len(got[0])",
    ):
        with belljar.Sandbox(ledger="none") as box:
            box.share("big", functions={"give": lambda: bytes(3_000_000)})
            box.run(source, check=True)
            assert box.get("n") == 3_000_000


def test_a_large_argument_reaches_a_host_function() -> None:
    with belljar.Sandbox(ledger="none") as box:
        sizes: list[int] = []
        box.share("big", functions={"take": lambda data: sizes.append(len(data))})
        box.run("for _ in range(3): host.big.take(bytes(2_000_000))", check=True)
        assert sizes == [2_000_000] * 3
        box.eval("1")
        assert box._asking.peer.buffers.used == 0
