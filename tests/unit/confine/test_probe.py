"""What the probe saw, kept between runs; and when an attempt that failed proves a wall."""

from __future__ import annotations

from pathlib import Path

import pytest

from belljar.confine import probe as probing
from belljar.confine.probe import Facts, _read, _write, probe
from belljar.errors import InternalError, Unenforceable

FACTS = Facts("user", 6, {"read": (0, 13), "tcp": (111, 1)}, ("root: no", "x; y"), 7)


def test_refused_means_failed_inside_and_possible_outside() -> None:
    facts = FACTS.replace(tried={"a": (0, 13), "open": (0, 0), "never": (1, 1), "odd": (1, 0)})
    assert facts.refused("a")
    assert facts.refused("a", "never")
    assert not facts.refused("open")
    assert not facts.refused("a", "open")
    assert not facts.refused("never")
    assert not facts.refused("a", "odd")


def test_what_was_not_tried_is_not_refused() -> None:
    assert not FACTS.refused("read", "unknown")
    assert not FACTS.refused()


@pytest.mark.parametrize("facts", [FACTS, FACTS.replace(why=()), FACTS.replace(ended_ms=-1)])
def test_facts_are_read_as_they_were_written(facts: Facts) -> None:
    assert _read(_write(facts)) == facts


@pytest.mark.parametrize(
    "text",
    [
        "", "--", "user\n6\n7\n--", "other\n6\n7\nread 0 1\n--", "user\nx\n7\nread 0 1\n--",
        "user\n6\n7\nread 0\n--", "user\n6\n7\nread 0 1 2\n--", "user\n6\n7\nread 0 1",
        "user\n6\n7\nread 0 x\n--",
    ],
)  # fmt: skip
def test_what_is_no_probe_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        _read(text)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The machine is not asked; the questions are kept."""
    questions: list[str | None] = []

    def ask(tier: str | None) -> Facts:
        questions.append(tier)
        return FACTS

    monkeypatch.setattr(probing, "_ask", ask)
    return questions


def test_the_machine_is_asked_once(tmp_path: Path, asked: list[str | None]) -> None:
    assert probe(str(tmp_path)) == probe(str(tmp_path)) == FACTS
    assert asked == [None]
    assert probe(str(tmp_path), "user") == FACTS
    assert asked == [None, "user"]
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_cache_the_machine_is_asked_each_time(asked: list[str | None]) -> None:
    assert probe(None) == probe(None) == FACTS
    assert asked == [None, None]


def test_a_damaged_answer_is_asked_for_anew(tmp_path: Path, asked: list[str | None]) -> None:
    probe(str(tmp_path))
    (kept,) = tmp_path.iterdir()
    kept.write_text("user\n6\n")
    assert probe(str(tmp_path)) == FACTS
    assert asked == [None, None]
    assert _read(kept.read_text()) == FACTS


def test_as_root_user_namespaces_are_not_tried_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def refuse(tier: str) -> object:
        tried.append(tier)
        raise Unenforceable("files", f"{tier} cannot", "")

    monkeypatch.setattr(probing, "_try", refuse)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(probing, "_can_administer", lambda: True)
    with pytest.raises(Unenforceable, match=r"root: root cannot; landlock: landlock cannot"):
        probing._ask(None)
    assert tried == ["root", "landlock"]


def test_an_ordinary_user_falls_back_and_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(tier: str) -> tuple[dict[str, tuple[int, int]], int]:
        if tier == "user":
            raise Unenforceable("files", "no user namespaces", "")
        return {"read": (0, 13)}, 4

    monkeypatch.setattr(probing, "_try", attempt)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    facts = probing._ask(None)
    assert (facts.tier, facts.why, facts.ended_ms) == (
        "landlock", ("user: no user namespaces",), 4,
    )  # fmt: skip


def test_a_defect_of_the_probe_is_no_reason_for_a_weaker_tier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(tier: str) -> object:
        raise InternalError("cut short")

    monkeypatch.setattr(probing, "_try", broken)
    with pytest.raises(InternalError):
        probing._ask(None)
