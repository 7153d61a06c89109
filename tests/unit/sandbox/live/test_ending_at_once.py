"""Two threads that end one sandbox at the same time."""

from __future__ import annotations

import os

import pytest

from belljar.confine import keeper as keepers
from belljar.confine.keeper import Keeper


def test_a_pipe_is_closed_once_whoever_else_ends_the_keeper_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While `close` runs, others do: the number may be another file's by then."""
    null = os.open(os.devnull, os.O_RDWR)
    keeper = Keeper((null, null, null), null)
    os.close(null)
    closed: list[int] = []
    plain = os.close

    def close(fd: int) -> None:
        closed.append(fd)
        if len(closed) == 1:
            keeper.kill()  # what another thread does now
        plain(fd)

    monkeypatch.setattr(keepers.os, "close", close)
    keeper.kill()
    monkeypatch.undo()
    keeper.close()
    assert len(closed) == 1
    assert keeper.ended
