"""A keeper that nobody closes: interrupted while it starts, or simply lost."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from random import Random

import pytest

from belljar.confine.keeper import Keeper


def children() -> set[int]:
    found = set()
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
            found |= {int(pid) for pid in file.read().split()}
    return found


def descriptors() -> set[str]:
    return {name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open("/dev/null", os.O_RDWR)
    yield fd
    os.close(fd)


def test_a_keeper_that_is_lost_ends(null: int) -> None:
    before = children(), descriptors()
    keeper = Keeper((null, null, null), null)
    assert len(children() - before[0]) == 1
    del keeper
    gc.collect()
    assert (children(), descriptors()) == before


def test_closing_one_twice_and_losing_it_touches_no_other(null: int) -> None:
    keeper = Keeper((null, null, null), null)
    keeper.close()
    keeper.close()
    other = Keeper((null, null, null), null)  # has the numbers that the first one had
    del keeper
    gc.collect()
    os.fstat(other.report)
    assert other.pid in children()
    other.close()


def test_one_that_is_interrupted_while_it_starts_leaves_nothing(null: int) -> None:
    armed = [False]  # another thread may take the signal, and this one hear of it late

    def interrupt(*_about: object) -> None:
        if armed[0]:
            armed[0] = False
            raise KeyboardInterrupt

    random = Random(8)
    before = children(), descriptors()
    former = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for _ in range(400):
            keeper = None
            try:
                armed[0] = True
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 8e-4))
                keeper = Keeper((null, null, null), null)
                signal.setitimer(signal.ITIMER_REAL, 0)
                armed[0] = False
            except KeyboardInterrupt:
                interrupted += 1
            if keeper is not None:
                keeper.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    del keeper
    gc.collect()
    assert interrupted > 20
    assert (children(), descriptors()) == before
