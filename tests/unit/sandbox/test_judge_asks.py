"""Events of a guest that wait for the host: when they are answered, and what they are told."""

from __future__ import annotations

import pytest
from judging import Bench, Frames, Kept

from belljar.errors import LedgerError
from belljar.model import Policy, Rule
from belljar.sandbox.judge import Judge

BEGIN = ("belljar.begin",)


def test_who_waits_for_the_record_is_answered_when_the_record_has_it() -> None:
    frames = Frames().asks("os.system", "true").asks("import", "_json", "/lib/_json.so")
    bench = Bench().take(frames)
    assert bench.answers == [(9, 0, 1), (9, 1, 1)]
    assert bench.denied == [("run", "/bin/sh")]
    full = Bench()
    full.record.full = True
    assert full.take(frames).answers == []


def test_a_guest_whose_record_fails_is_not_answered() -> None:
    class Broken(Kept):
        def events(self, frames: bytes, count: int, flagged: object) -> bool:
            raise LedgerError("the disk is full")

    answers: list[object] = []
    judge = Judge(Policy(), Broken(), lambda denial: None, (), lambda *a: answers.append(a))
    frames = Frames().asks("os.system", "true")
    with pytest.raises(LedgerError):
        judge.take(frames.data, frames.count, frames.flagged)
    assert answers == []


@pytest.mark.parametrize(("then", "verdict"), [("deny", 2), ("kill", 3)])
def test_a_rule_that_forbids_answers_and_is_told_in_place_of_a_missing_grant(
    then: str, verdict: int
) -> None:
    rule = Rule("os.system", then=then, origin="p.toml:3")
    bench = Bench(Policy(rules=(rule,)))
    bench.take(Frames().event(*BEGIN, flags=0).asks("os.system", "true"))
    assert bench.answers == [(9, 1, verdict)]
    (denial,) = bench.told
    assert (denial.kind, denial.right, denial.target) == ("denial", "run", "/bin/sh")
    assert (denial.decision.rule, denial.decision.remedy) == (rule, "")
    (row,) = bench.record.rows
    assert (row["rule"], row["then"], row["verdict"]) == ("p.toml:3", then, "deny")


def test_before_the_program_begins_everything_that_waits_is_let_go() -> None:
    bench = Bench(Policy(rules=(Rule("open", then="kill"),)))
    bench.take(Frames().asks("open", "/usr/lib/x.py", "r", 0))
    assert (bench.answers, bench.told) == ([(9, 0, 1)], [])


def test_an_application_event_can_be_ruled_on() -> None:
    bench = Bench(Policy(rules=(Rule("shop.*", then="deny"),)))
    bench.take(Frames().event(*BEGIN, flags=0).asks("shop.refund", 5).asks("shop.sale", 5))
    assert bench.answers == [(9, 1, 2), (9, 2, 2)]
    assert [d.event.name for d in bench.told] == ["shop.refund", "shop.sale"]
