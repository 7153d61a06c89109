"""An event that is not raised as its distribution declares it is a finding, once for its name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_report_view import chunk, event, frame, make

from belljar.events import declared
from belljar.events.declaration import read

TEXT = 'schema = 1\n[event."shop.refund"]\narguments = ["account: str", "cents: int|None"]\n'


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    declared.register(read(TEXT, "shop 1.2"))
    yield
    declared.forget()


def found(*frames: bytes, **more: object) -> list[str]:
    view = make(**more)
    view.take([chunk(*frames)])
    view.finish()
    return [str(one) for one in view.mismatches.findings()]


def test_the_same_event_is_counted_each_time_and_told_once() -> None:
    wrong = [event(seq, "shop.refund", ["a", "5"]) for seq in (1, 2, 3)]
    others = [event(4, "shop.refund", ["a", 5]), event(5, "shop.refund", ["a"])]
    others += [event(6, "shop.refund", ["a", None]), event(7, "shop.other", [1])]
    text = "shop.refund is not raised as shop 1.2 declares it, 4 times: argument 2 is str and not "
    assert found(*wrong, *others) == [text + "int|None"]
    lines: list[dict[str, object]] = []
    assert len(found(*wrong, write=lines.append)) == 1
    assert len(lines) == 3


def test_what_fits_and_what_was_cut_is_no_finding() -> None:
    assert found(event(1, "shop.refund", ["a", 5])) == []
    cut = bytearray(event(1, "shop.refund", ["a"]))
    cut[5] |= 4  # the recorder had no room for all of it
    assert found(bytes(cut)) == []
    assert found(frame(3, 1, [0])) == []


def test_it_can_be_told_apart_and_counted_by_a_program() -> None:
    view = make()
    view.take([chunk(event(1, "shop.refund", []))])
    view.finish()
    (one,) = view.mismatches.findings()
    assert (one.kind, one.first) == ("mismatch", 1)
