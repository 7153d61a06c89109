"""How a run ended, as status and words: no sandbox is needed to tell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import pytest

from belljar.confine.keeper import Keeper
from belljar.confine.program import Program
from belljar.errors import BelljarError, InternalError, Unenforceable
from belljar.model import Limits, Policy, Status
from belljar.sandbox.apart import Nothing
from belljar.sandbox.judge import Judge
from belljar.sandbox.result import Result
from belljar.sandbox.run import Session
from belljar.sandbox.walls import Walls

KILL, SEGV, XCPU = 9, 11, 24
RECEIPT = Status("user", ())


class Ended(Session):
    """A session whose guest has ended with a wait status, after `wall` seconds."""

    def __init__(
        self,
        code: int | None = 0,
        ended_by: str = "",
        cpu: float = 0.0,
        wall: float = 0.1,
        greeted: bool = True,
    ) -> None:
        policy = Policy(limits=Limits(cpu=2.0, wall=5.0))
        super().__init__(policy, Program("code", "", (), "/"), lambda denial, receipt: None)
        keeper = cast(Keeper, None)  # it is not asked any more
        walls = self.walls = Walls(
            policy, self._program, keeper, None, lambda denial, receipt: None
        )
        walls.exit = None if code is None else (code, cpu, 0.0, 4096)
        walls.receipt, walls.missed, walls.planted = RECEIPT, 2, ("/planted",)
        walls.overlays = Nothing()
        self._ended_by = ended_by
        self._started = time.monotonic() - wall
        walls.judge = self.judge = Judge(policy, None, lambda denial: None)
        self.judge.greeted = greeted

    def result(self) -> Result:
        return self._result(self.walls)


@pytest.fixture(autouse=True)
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def how(session: Ended) -> tuple[str, int, int]:
    result = session.result()
    return result.ended_by, result.status, result.signal


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_status_of_the_program_is_passed_on(status: int) -> None:
    assert how(Ended(status << 8)) == ("exit", status, 0)


def test_a_signal_is_128_and_its_number() -> None:
    assert how(Ended(SEGV)) == ("signal", 139, SEGV)
    assert how(Ended(KILL)) == ("signal", 137, KILL)
    assert how(Ended(SEGV | 0x80)) == ("signal", 139, SEGV)  # with a core


@pytest.mark.parametrize(
    ("why", "status"), [("wall", 124), ("interrupt", 130), ("reader", 141), ("output", 137)]
)
def test_what_we_ended_has_a_status_of_ours(why: str, status: int) -> None:
    assert how(Ended(KILL, why)) == (why, status, KILL)
    assert how(Ended(None, why))[:2] == (why, status)


def test_a_guest_that_exits_while_it_is_ended_keeps_our_status() -> None:
    assert how(Ended(0, "wall"))[:2] == ("wall", 124)
    assert how(Ended(0, "output"))[:2] == ("output", 137)


def test_processor_time_is_told_by_its_signal_or_its_measure() -> None:
    assert how(Ended(XCPU)) == ("cpu", 128 + XCPU, XCPU)
    assert how(Ended(KILL, cpu=2.0)) == ("cpu", 137, KILL)
    assert how(Ended(KILL, cpu=1.0)) == ("signal", 137, KILL)
    assert how(Ended(0, cpu=2.0)) == ("exit", 0, 0)


def test_what_we_ended_is_not_told_as_processor_time() -> None:
    assert how(Ended(KILL, "wall", cpu=2.0))[:2] == ("wall", 124)


def test_an_end_that_nobody_reports_is_lost_or_the_keepers_clock() -> None:
    assert how(Ended(None)) == ("lost", 137, KILL)
    assert how(Ended(None, wall=6.0)) == ("wall", 124, KILL)


def test_the_result_carries_what_was_counted() -> None:
    session = Ended(cpu=0.5)
    session.judge.repeated, session.judge.events = 3, 40
    result = session.result()
    assert (result.repeated, result.missed, result.planted) == (3, 2, ("/planted",))
    assert (result.usage.user, result.usage.peak_memory, result.usage.events) == (0.5, 4096, 40)
    assert (result.receipt, result.ledger, result.unkept) == (RECEIPT, None, 0)
    assert len(result.run_id) == 32


def test_a_start_that_failed_is_no_result() -> None:
    with pytest.raises(BelljarError, match=r"\(exit status 1\); nothing ran$"):
        Ended(1 << 8, greeted=False).result()
    with pytest.raises(BelljarError, match=r"\(signal 11\); nothing ran$"):
        Ended(SEGV, greeted=False).result()
    with pytest.raises(InternalError, match=r"before its recorder reported"):
        Ended(None, greeted=False).result()


def test_a_refusal_of_the_keeper_is_what_is_raised() -> None:
    session = Ended(None, greeted=False)
    session.walls.refusal = Unenforceable("files", "no", "remedy")
    with pytest.raises(Unenforceable):
        session.result()


def test_an_interrupt_before_the_start_is_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        Ended(KILL, "interrupt", greeted=False).result()


def test_the_first_reason_to_end_is_the_one_that_is_told() -> None:
    session = Ended(KILL, "output")
    session.interrupt()
    assert how(session)[0] == "output"
