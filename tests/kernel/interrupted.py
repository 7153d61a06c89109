"""Interrupts live sandboxes at random moments: `python interrupted.py ROUNDS SEED ENGINE`.

Prints what is left when all were let go of; run by `test_live_interrupts`.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress

import belljar
from belljar.sandbox.live.ready import pool

LONG = 60.0
SETTLES = 10.0  # seconds in which what is let go of is gone


def children() -> set[int]:
    found = set()
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                found |= {int(pid) for pid in file.read().split()}
        except OSError:
            continue
    return found


def descriptors() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}").partition(":")[0]
        except OSError:
            continue  # of the listing itself
    return found


ARMED = [False]  # another thread may take the signal, and the main one hear of it late


def interrupt(*_about: object) -> None:
    if ARMED[0]:
        ARMED[0] = False
        raise KeyboardInterrupt


def once(engine: str, chance: random.Random, reach: float) -> bool:
    """One life of a sandbox, interrupted or not; whether it was."""
    box = None
    interrupted = False
    try:
        ARMED[0] = True
        signal.setitimer(signal.ITIMER_REAL, max(1e-5, chance.random() * reach))
        box = belljar.Sandbox(ledger="none", engine=engine)
        box.share("db", functions={"get": lambda x: x})
        box.run("x = host.db.get(1) + 1")
        box.eval("x")
        box.close()
        signal.setitimer(signal.ITIMER_REAL, 0)
        ARMED[0] = False
    except KeyboardInterrupt:
        interrupted = True
    if box is not None:
        begun = time.monotonic()
        with suppress(belljar.SandboxEnded, belljar.GuestError):  # it ended, or came not so far
            assert box.eval("x") == 2
        box.close()
        assert time.monotonic() - begun < LONG, "closing hung"
    return interrupted


def main() -> None:
    rounds, seed, engine = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    chance = random.Random(seed)
    signal.signal(signal.SIGALRM, interrupt)
    times = []
    for _ in range(4):
        begun = time.monotonic()
        with belljar.Sandbox(ledger="none", engine=engine) as box:
            assert box.eval("1 + 1") == 2
        times.append(time.monotonic() - begun)
    pool().close()  # of ready guests: what waits to be asked for is not left behind
    gc.collect()
    before = children(), descriptors()
    reach = 1.5 * sorted(times)[1]
    interrupted = sum(once(engine, chance, reach) for _ in range(rounds))
    with belljar.Sandbox(ledger="none", engine=engine) as box:
        assert box.eval("1 + 1") == 2
    del box
    pool().close()
    until = time.monotonic() + SETTLES
    while True:
        gc.collect()
        kids = children() - before[0]
        more = {k: v for k, v in descriptors().items() if k not in before[1]}
        threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
        threads = [name for name in threads if name != "belljar-supervisor"]
        if not (kids or more or threads) or time.monotonic() > until:
            break
        time.sleep(0.05)
    print(interrupted > rounds // 4, len(kids), sorted(more.values()), threads)


if __name__ == "__main__":
    main()
