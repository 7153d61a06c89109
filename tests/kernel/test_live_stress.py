"""Many threads on both sides of several sandboxes, all asking one another: nobody is forgotten.

For some seconds; with BELLJAR_LONG for some minutes.
"""

from __future__ import annotations

import os
import random
import threading
import time

import pytest

import belljar

SECONDS = 240.0 if os.environ.get("BELLJAR_LONG") else 3.0
LONG = 60.0  # a call that takes as long is a lost one: none has to do that much

#: Threads of the guest that ask the host, in calls and between them.
WORK = """
import random, threading, time
wrong = []
asked = [0]

def asks(seed, count):
    chance = random.Random(seed)
    for n in range(count):
        if host.db.get(n, chance.choice((0, 0, 0, 0.0005, 0.002))) != n * 2:
            wrong.append(n)
        asked[0] += 1
        if chance.random() < 0.1:
            time.sleep(0.001)

def many(seed, threads, count):
    all_ = [threading.Thread(target=asks, args=(seed + n, count)) for n in range(threads)]
    for one in all_:
        one.start()
    asks(seed - 1, count)
    for one in all_:
        one.join()
    return asked[0]

def begin(seed, count):
    threading.Thread(target=asks, args=(seed, count), daemon=True).start()

def back(x):
    return host.db.get(x, 0) + 1
"""


def get(number: int, seconds: float) -> int:
    if seconds:
        time.sleep(seconds)
    return number * 2


def asking(
    box: belljar.Sandbox, seed: int, until: float, slow: list[str], calls: list[int]
) -> None:
    chance = random.Random(seed)
    lent = box.eval("back")
    while time.monotonic() < until:
        begun = time.monotonic()
        what = chance.randrange(5)
        if what == 0:
            box.call("many", seed, chance.randrange(1, 6), chance.randrange(1, 30))
        elif what == 1:
            box.call("begin", seed, chance.randrange(1, 30))
        elif what == 2:
            assert box.eval("1 + 1") == 2
        elif what == 3:
            assert lent(21) == 43
        elif box.run("for n in range(20): host.db.get(n, 0)").check():
            time.sleep(chance.choice((0, 0.0003, 0.003)))
        calls[0] += 1
        took = time.monotonic() - begun
        if took > LONG / 2:
            slow.append(f"operation {what} took {took:.1f} s")


@pytest.mark.timeout(600)
def test_no_call_of_many_threads_is_lost() -> None:
    until = time.monotonic() + SECONDS
    slow: list[str] = []
    calls = [0]
    failed: list[BaseException] = []
    boxes = [belljar.Sandbox(ledger="none", wall=LONG, cpu=LONG) for _ in range(3)]

    def work(box: belljar.Sandbox, seed: int) -> None:
        try:
            asking(box, seed, until, slow, calls)
        except BaseException as error:
            failed.append(error)

    try:
        for box in boxes:
            box.share("db", functions={"get": get})
            box.run(WORK).check()
        threads = [
            threading.Thread(target=work, args=(box, 10 * number + seed))
            for number, box in enumerate(boxes) for seed in range(3)
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed
        assert not slow
        assert calls[0] > 9
        for box in boxes:
            assert box.eval("wrong") == []
    finally:
        for box in boxes:
            box.close()
