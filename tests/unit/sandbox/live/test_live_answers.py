"""Answers of a hostile session: exact, or no answers."""

from __future__ import annotations

from typing import Any

import pytest

from belljar.errors import GuestProtocolError
from belljar.sandbox.live.answers import ERROR, EXIT, VALUE, read_answer


def test_the_three_ways_to_end() -> None:
    assert read_answer((VALUE, [1], ())).value == [1]
    assert read_answer((EXIT, 4, ())).status == 4
    answer = read_answer((ERROR, ("ValueError", "no", "Trace..."), ((1, 3), (2, 0))))
    assert answer.error is not None
    assert (answer.status, answer.error.type_name, answer.error.message) == (1, "ValueError", "no")
    assert answer.turns == ((1, 3), (2, 0))


def test_a_guest_that_lost_count_of_its_turns_says_so() -> None:
    assert read_answer((VALUE, None, ((1, 3), (2, -(1 << 60))))).turns == ()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [VALUE, 1, ()],
        (VALUE, 1),
        (True, 1, ()),
        (7, 1, ()),
        (EXIT, 256, ()),
        (EXIT, True, ()),
        (EXIT, "0", ()),
        (ERROR, ("a", "b"), ()),
        (ERROR, ("a", "b", 3), ()),
        (ERROR, ["a", "b", "c"], ()),
        (VALUE, 1, [(1, 2)]),
        (VALUE, 1, ((3, 1),)),
        (VALUE, 1, ((1, 1.0),)),
        (VALUE, 1, ((1, 1, 1),)),
        (VALUE, 1, ((1, 1),) * 5000),
    ],
)
def test_anything_else_is_refused(answer: Any) -> None:
    with pytest.raises(GuestProtocolError):
        read_answer(answer)
