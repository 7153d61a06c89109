"""An application's messages in the record, and Belljar's findings in its log: one time line."""

from __future__ import annotations

import io
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator

import pytest

import belljar
from belljar.adapters.logging_bridge import Findings, RecordHandler
from belljar.model import Rule
from belljar.policy.rules import Rules

HOSTILE = 'x\n<0>1 - evil\x1b[2J\u202e "] \\ \x00 {"entry": 1} <script> ' + "m" * 10_000


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.Logger("shop", logging.DEBUG)
    yield made
    for handler in list(made.handlers):
        made.removeHandler(handler)
        handler.close()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def findings(kept: Kept) -> logging.Logger:
    made = logging.Logger("findings")
    made.addHandler(kept)
    return made


def test_a_message_is_an_event_with_its_level_logger_and_text(logger: logging.Logger) -> None:
    logger.addHandler(RecordHandler())
    with belljar.watching(events="logging.record") as events:
        logger.warning("order %s", 7)
        try:
            raise KeyError("x")
        except KeyError:
            logger.exception("failed")
    assert [event.args for event in events] == [
        (30, "shop", "order 7"),
        (40, "shop", "failed (KeyError)"),
    ]


def test_a_hostile_message_is_one_event_of_bounded_size(logger: logging.Logger) -> None:
    logger.addHandler(RecordHandler())
    logger.name = "n" * 5000
    with belljar.watching(events="logging.record") as events:
        logger.error("%s", HOSTILE)
    (event,) = events
    level, name, text = event.args
    assert (level, name) == (40, "n" * 256)
    assert HOSTILE.startswith(text.text)
    assert text.length == 4096


def test_a_message_that_cannot_be_made_or_is_refused_does_not_end_the_program(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger.addHandler(RecordHandler())
    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    with belljar.watching(events="logging.record") as events:
        logger.warning("%d", "no number")
    assert "Logging error" in told.getvalue()
    assert not list(events)


def test_findings_are_told_with_their_own_time_place_and_fields(
    findings: logging.Logger, kept: Kept, tmp_path: object
) -> None:
    before = time.time()
    with (
        belljar.watching(right="list", stacks=1) as events,
        Findings(events, findings, least="info"),
    ):
        os.listdir(str(tmp_path))
    (record,) = [r for r in kept.records if r.getMessage().startswith("os.listdir")]
    assert record.getMessage() == f"os.listdir: list {tmp_path}"
    assert (record.levelname, record.process) == ("INFO", os.getpid())
    assert before - 1 < record.created < time.time() + 1
    assert record.belljar["right"] == "list"
    assert record.pathname == __file__


def test_what_is_told_of_a_hostile_event_is_one_line(findings: logging.Logger, kept: Kept) -> None:
    name = "a\n<0>1 - forged\x1b[31m\u202e"
    with (
        belljar.watching(events="os.listdir") as events,
        Findings(events, findings, least="debug"),
        pytest.raises(OSError),
    ):
        os.listdir(name)
    (record,) = kept.records
    line = logging.Formatter("%(message)s").format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert "\\u000a<0>1" in line


def test_only_what_is_grave_enough_or_what_a_rule_fires_for_is_told(
    findings: logging.Logger, kept: Kept
) -> None:
    with belljar.watching(right="list") as events, Findings(events, findings):
        os.listdir("/")  # an info: less than a notice
    assert not kept.records
    alert = Rule(event=("os.listdir",), then="alert", id="L1", text="who lists\n?")
    noted = Rule(event=("os.scandir",), then="record")
    rules = Rules((alert, noted))
    with belljar.watching(right="list") as events, Findings(events, findings, rules=rules):
        os.listdir("/")
        os.scandir("/").close()
    assert [r.getMessage() for r in kept.records] == ["[L1] os.listdir: list /: who lists\\u000a?"]
    assert kept.records[0].levelname == "ERROR"


def test_findings_below_the_level_of_their_logger_are_not_told(
    findings: logging.Logger, kept: Kept
) -> None:
    findings.setLevel(logging.ERROR)
    with belljar.watching(right="list") as events, Findings(events, findings, least="debug"):
        os.listdir("/")
    assert not kept.records


def test_what_the_handlers_do_is_not_told_again_and_again(findings: logging.Logger) -> None:
    class Sends(logging.Handler):
        """As a handler that sends: each record is an event of its own."""

        count = 0

        def emit(self, record: logging.LogRecord) -> None:
            Sends.count += 1
            os.listdir("/")

    findings.addHandler(Sends())
    with belljar.watching(right="list") as events:
        told = Findings(events, findings, least="debug")
        os.listdir("/")
        for _ in range(5):
            told.pump()
    assert Sends.count == 1


def test_findings_never_come_back_as_messages(logger: logging.Logger) -> None:
    both = logging.Logger("belljar.findings")
    both.addHandler(RecordHandler())
    with belljar.watching() as events, Findings(events, both, least="debug"):
        socket.socket().close()
    assert not [event for event in events if event.name == "logging.record"]
