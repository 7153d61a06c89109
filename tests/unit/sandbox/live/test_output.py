"""What a live guest wrote: whole, in its order as far as that is known, and no more than it may."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from belljar.model import Policy
from belljar.sandbox.live.output import Output
from belljar.sandbox.streams import Streams


class Pipes:
    """An `Output` and the two ends into which a guest would write."""

    def __init__(self, limit: int) -> None:
        self.streams = Streams(Policy())
        self.ends = {1: os.dup(self.streams.given[1]), 2: os.dup(self.streams.given[2])}
        self.streams.handed_over()
        for fd in self.streams.pipes:
            os.set_blocking(fd, False)
        self.output = Output(self.streams, limit)

    def write(self, number: int, data: bytes) -> None:
        os.write(self.ends[number], data)

    def close(self) -> None:
        for fd in self.ends.values():
            os.close(fd)
        self.output.close()


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes(1000)
    yield made
    made.close()


def test_what_was_there_is_taken_once(pipes: Pipes) -> None:
    pipes.write(1, b"a")
    pipes.output.read_all()
    pipes.write(1, b"b")
    pipes.output.read_all()
    assert pipes.output.take() == ((1, b"ab"),)
    assert pipes.output.take() == ()


def test_the_guests_order_is_followed_where_it_fits_the_bytes(pipes: Pipes) -> None:
    for number, data in ((1, b"one"), (2, b"two"), (1, b"three")):
        pipes.write(number, data)
    pipes.output.read_all()
    order = ((1, 3), (2, 3), (1, 5))
    assert pipes.output.take(order) == ((1, b"one"), (2, b"two"), (1, b"three"))


@pytest.mark.parametrize("order", [((1, 3), (2, 3), (1, 6)), ((2, 4), (1, 8)), ((1, 8), (1, 0))])
def test_an_order_that_does_not_fit_is_void(
    pipes: Pipes, order: tuple[tuple[int, int], ...]
) -> None:
    pipes.write(1, b"onethree")
    pipes.write(2, b"two")
    pipes.output.read_all()
    assert sorted(pipes.output.take(order)) == [(1, b"onethree"), (2, b"two")]


def test_more_than_the_limit_is_thrown_away_and_told(pipes: Pipes) -> None:
    pipes.write(1, b"x" * 900)
    pipes.output.read_all()
    assert not pipes.output.over
    pipes.write(2, b"y" * 900)
    pipes.output.read_all()
    assert pipes.output.over
    assert [(n, len(data)) for n, data in pipes.output.take()] == [(1, 900), (2, 100)]


def test_the_limit_is_that_of_one_result(pipes: Pipes) -> None:
    for _ in range(5):
        pipes.write(1, b"x" * 900)
        pipes.output.read_all()
        pipes.output.take()
    assert (pipes.output.over, pipes.output.total) == (False, 4500)


def test_whoever_listens_hears_each_piece_as_it_comes(pipes: Pipes) -> None:
    heard: list[tuple[int, bytes]] = []
    pipes.output.listen = lambda number, data: heard.append((number, data))
    pipes.write(1, b"a")
    pipes.output.read_all()
    pipes.write(2, b"b")
    pipes.output.read_all()
    assert heard == [(1, b"a"), (2, b"b")]
