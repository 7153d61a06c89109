"""Host functions and the threads on both sides that wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

import belljar

LONG = 60.0  # seconds; this machine may do much else

#: Sends a question of the guest's together with the answer to the run.
TOGETHER = """
peer = host._side._peer
from struct import pack
import sys
dumps = type(peer)._fitting.__globals__["dumps"]

def write(data, sent, real=peer._write):
    if data[4] == 2:
        body = dumps((1, "mark", (), {}))
        data += pack("<IBIIB", 1 + len(body), 1, peer._last + 1, 0, 64) + body
        del peer._write
    real(data, sent)

host.told
peer._write = write
"""


def test_a_question_that_came_together_with_an_answer_is_heard() -> None:
    heard = threading.Event()
    with belljar.Sandbox(ledger="none") as box:
        box.share("told", functions={"mark": lambda: heard.set()})
        assert box.run(TOGETHER).check().ended_by == "exit"
        assert heard.wait(LONG)


class Blocking:
    """A host function that blocks until the test is over."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()
        self.returned = False

    def __call__(self) -> None:
        self.begun.set()
        self.over.wait(LONG)
        self.returned = True


@pytest.fixture
def block() -> Iterator[Blocking]:
    one = Blocking()
    yield one
    one.over.set()


def test_a_host_function_that_blocks_stops_no_other_sandbox(block: Blocking) -> None:
    with belljar.Sandbox(ledger="none") as one, belljar.Sandbox(ledger="none", wall=1) as other:
        one.share("slow", functions={"block": block})
        other.share("quick", functions={"double": lambda x: 2 * x})
        thread = threading.Thread(target=one.run, args=("host.slow.block()",))
        thread.start()
        assert block.begun.wait(LONG)
        with belljar.Sandbox(ledger="none") as new:  # one that starts meanwhile, and ends
            assert new.eval("1 + 1") == 2
        assert other.eval("host.quick.double(21)") == 42
        assert other.run("while True: pass").ended_by == "wall"  # the clocks are looked at
        assert thread.is_alive()
        one.interrupt()
        block.over.set()
        thread.join(LONG)


def test_a_function_with_a_limit_of_seconds_does_not_outlast_the_guest_for_its_caller(
    block: Blocking,
) -> None:
    with belljar.Sandbox(ledger="none") as box:
        limits = {"block": belljar.Limit(seconds=2 * LONG)}
        box.share("slow", functions={"block": block}, limits=limits)
        result = box.run("host.slow.block()", timeout=0.5)
        assert (result.ended_by, result.status) == ("wall", 124)
        assert not block.returned


def test_an_asynchronous_caller_has_its_answer_when_the_guest_is_ended(
    block: Blocking,
) -> None:
    async def asked() -> tuple[belljar.Result, str, str]:
        ends = []
        async with belljar.AsyncSandbox(ledger="none") as box:
            await box.share("slow", functions={"block": block})
            result = await box.run("print('begun', flush=True)\nhost.slow.block()", timeout=0.5)
            ends.append(box.ended_by)
        async with belljar.AsyncSandbox(ledger="none") as box:
            await box.share("slow", functions={"block": block})
            try:
                await box.eval("host.slow.block()", timeout=0.5)
            except belljar.SandboxEnded as ended:
                ends.append(ended.ended_by)
        return result, *ends

    result, *ends = asyncio.run(asked())
    assert (result.ended_by, result.status, result.stdout) == ("wall", 124, b"begun\n")
    assert ends == ["wall", "wall"]
    assert not block.returned


def test_calls_of_different_sandboxes_run_side_by_side() -> None:
    """Each guest waits within its call for the other one's."""

    async def both() -> list[object]:
        here = [asyncio.Event(), asyncio.Event()]

        async def meet(number: int) -> int:
            here[number].set()
            await asyncio.wait_for(here[1 - number].wait(), LONG)
            return number

        async with (
            belljar.AsyncSandbox(ledger="none") as a,
            belljar.AsyncSandbox(ledger="none") as b,
        ):
            for box in (a, b):
                await box.share("both", functions={"meet": meet})
            return await asyncio.gather(*(
                box.eval(f"host.both.meet({n})") for n, box in enumerate((a, b))
            ))  # fmt: skip

    assert asyncio.run(both()) == [0, 1]


def test_the_loop_runs_while_a_shared_coroutine_waits() -> None:
    async def asked() -> tuple[object, list[int]]:
        asked, answer = asyncio.Event(), asyncio.get_running_loop().create_future()
        seen: list[int] = []

        async def get(x: int) -> int:
            asked.set()
            return x + await answer

        async def other() -> None:
            await asyncio.wait_for(asked.wait(), LONG)
            for n in range(3):
                seen.append(n)
                await asyncio.sleep(0)
            answer.set_result(40)

        async with belljar.AsyncSandbox(ledger="none") as box:
            await box.share("db", functions={"get": get})
            value, _ = await asyncio.gather(box.eval("host.db.get(2)"), other())
        return value, seen

    assert asyncio.run(asked()) == (42, [0, 1, 2])


def test_calls_of_one_sandbox_queue() -> None:
    async def asked() -> list[object]:
        async with belljar.AsyncSandbox(ledger="none") as box:
            await box.run("n = 0\ndef more():\n    global n\n    n += 1\n    return n")
            return await asyncio.gather(*(box.call("more") for _ in range(8)))

    assert sorted(asyncio.run(asked())) == [*range(1, 9)]
