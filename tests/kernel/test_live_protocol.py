"""A guest that breaks the protocol ends, and whoever asked it gets that as every other end."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import belljar

LONG = 60.0  # seconds; this machine may do much else
GARBAGE = "__import__('os').write(3, b'\\xff' * 100)"


def test_a_guest_that_does_not_speak_the_protocol_is_a_result() -> None:
    with belljar.Sandbox(ledger="none") as box:
        result = box.run(f"print('before', flush=True)\n{GARBAGE}")
        assert (result.ended_by, result.status, result.stdout) == ("protocol", 137, b"before\n")
        assert "a frame of kind 255" in result.reason
        with pytest.raises(belljar.SandboxEnded, match="a frame of kind 255") as ended:
            result.check()
        assert ended.value.result is result
        assert box.result is not None
        assert (box.result.ended_by, box.result.reason) == ("protocol", result.reason)
        with pytest.raises(belljar.SandboxEnded, match="protocol"):
            box.run("1")


ASKED: list[Callable[[belljar.Sandbox], object]] = [
    lambda box: box.eval(GARBAGE),
    lambda box: box.call("speak"),
    lambda box: box.get("value"),
    lambda box: box.eval("speak")(),
    lambda box: next(box.eval("items()")),
    lambda box: box.run("speak()", check=True),
]


@pytest.mark.parametrize("asked", ASKED)
def test_whatever_was_asked_such_an_end_is_the_same_error(
    asked: Callable[[belljar.Sandbox], object],
) -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.run(
            f"def speak(*_): {GARBAGE}\ndef items():\n    speak()\n    yield\n"
            "class V:\n    v = property(speak)\nvalue = V()"
        )
        if asked is ASKED[2]:
            asked = lambda box: box.get("value.v")  # noqa: E731
        with pytest.raises(belljar.SandboxEnded) as ended:
            asked(box)
        assert ended.value.ended_by == "protocol"
        assert ended.value.result.ended_by == "protocol"
        assert box.ended_by == "protocol"


def test_what_a_guest_lent_has_the_wall_clock_of_a_call() -> None:
    with belljar.Sandbox(ledger="none", wall=1) as box:
        wait = box.eval("__import__('time').sleep")
        wait(0)
        with pytest.raises(belljar.SandboxEnded) as ended:
            wait(LONG)
        assert ended.value.ended_by == "wall"
        with pytest.raises(ReferenceError):
            wait(0)


def test_a_guest_is_ended_with_the_deadline_of_its_function() -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.run("import os, time\ndef wait():\n    os.close(3)\n    time.sleep(60)")
        wait = box.eval("wait")
        wait.deadline = 0.2
        with pytest.raises((TimeoutError, belljar.SandboxEnded)):
            wait()
        until = time.monotonic() + LONG
        while not box.ended_by and time.monotonic() < until:
            time.sleep(0.01)
        assert box.ended_by in ("wall", "lost")


def test_a_next_item_that_is_none_ends_the_guest() -> None:
    # of a template's guest the collector does not list what the template made
    with belljar.Sandbox(ledger="none", engine="cold") as box:
        forged = box.eval("(n for n in range(3))")
        box.run(
            "import gc\n"
            "for one in gc.get_objects():\n"
            "    if type(one).__name__ == 'Session':\n"
            "        one.more['method'] = lambda body: 7"
        )
        with pytest.raises(belljar.SandboxEnded) as ended:
            next(forged)
        assert ended.value.ended_by == "protocol"
