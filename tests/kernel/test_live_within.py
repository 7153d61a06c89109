"""A wall clock for one call: `timeout=`, and `within` for what passes every keyword on."""

from __future__ import annotations

import asyncio

import pytest

import belljar

LONG = 60.0
SPIN = "def spin(timeout=None):\n    while timeout is None: pass\n    return timeout"


def test_a_call_that_takes_longer_than_its_clock_ends_the_guest() -> None:
    for ask in (
        lambda box: box.within(0.2).call("spin"),
        lambda box: box.within(0.2).eval("spin()"),
        lambda box: box.within(LONG).eval("spin()", timeout=0.2),
        lambda box: box.within(0.2).within(LONG).eval("spin()"),
        lambda box: box.within(0.2).get("late.value"),
    ):
        with belljar.Sandbox(ledger="none", wall=LONG) as box:
            box.run(SPIN + "\nclass Late: value = property(lambda self: spin())\nlate = Late()")
            with pytest.raises(belljar.SandboxEnded) as caught:
                ask(box)
            assert (caught.value.ended_by, box.ended_by) == ("wall", "wall")
    with belljar.Sandbox(ledger="none", wall=LONG) as box:
        assert box.within(0.2).run("while True: pass").ended_by == "wall"


def test_a_clock_is_of_one_call_and_takes_no_keyword_of_a_function() -> None:
    with belljar.Sandbox(ledger="none", wall=LONG) as box:
        box.run(SPIN)
        assert box.call("spin", timeout=7) == 7  # the function's own
        hurry = box.within(LONG)
        assert hurry.call("spin", timeout=7) == 7
        hurry.put(timeout=3)
        assert hurry.get("timeout") == 3
        hurry.reset()
        assert hurry.run("'timeout' in globals()").value is False


def test_a_clock_that_cannot_run_is_refused() -> None:
    with belljar.Sandbox(ledger="none") as box:
        for wrong in (0, -1, float("nan")):
            with pytest.raises(ValueError, match="a number of seconds above 0"):
                box.within(wrong)
            with pytest.raises(ValueError, match="timeout= is a number of seconds above 0"):
                box.run("1", timeout=wrong)
        for other in ("1", True):
            with pytest.raises(TypeError, match=f"of seconds, not {type(other).__name__}"):
                box.within(other)  # type: ignore[arg-type]
        assert box.eval("1") == 1


def test_the_same_is_awaited_of_an_async_sandbox() -> None:
    async def main() -> None:
        async with belljar.AsyncSandbox(ledger="none", wall=LONG) as box:
            await box.run(SPIN)
            assert await box.within(LONG).call("spin", timeout=7) == 7
            with pytest.raises(belljar.SandboxEnded):
                await box.within(0.2).call("spin")
            assert box.ended_by == "wall"

    asyncio.run(main())
