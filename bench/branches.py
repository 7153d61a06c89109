"""What a branch of a live sandbox costs (`box.fork()`), beside a bare fork of as large a Python.

    bench/branches.py [--turns N] [--json FILE]

All in one run, taking turns, so that the machine is the same for all: milliseconds until the
branch, or the forked child, has answered. The bare fork confines, records and limits nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

os.environ["BELLJAR_CLERK"] = "none"

import belljar

GIB = 1 << 30
#: name -> what the state holds
STATES = {
    "small": "pass",
    "1 GiB in huge pages": "MADV_HUGEPAGE",
    "1 GiB in small pages": "MADV_NOHUGEPAGE",
}
HOLD = """
import mmap
held = mmap.mmap(-1, {size}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
held.madvise(mmap.{kind})
for at in range(0, {size}, 4096): held[at] = 1
"""
BARE = """
import os, sys
while os.read(0, 1):
    pid = os.fork()
    if pid == 0:
        os.write(1, b'x')
        os._exit(0)
    os.waitpid(pid, 0)
"""


def state(kind: str) -> str:
    return "pass" if kind == "pass" else HOLD.format(size=GIB, kind=kind)


def branched(stack: ExitStack, kind: str) -> Callable[[], float]:
    box = stack.enter_context(
        belljar.Sandbox(ledger="none", branches=2, memory="3G", wall="10m", cpu="10m")
    )
    box.run(state(kind), check=True)

    def once() -> float:
        began = time.perf_counter()
        branch = box.fork()
        spent = time.perf_counter() - began
        branch.close()
        return spent

    return once


def first_answer(stack: ExitStack, kind: str) -> Callable[[], float]:
    box = stack.enter_context(belljar.Sandbox(ledger="none", branches=2, wall="10m", cpu="10m"))
    box.run(state(kind), check=True)

    def once() -> float:
        began = time.perf_counter()
        with box.fork() as branch:
            assert branch.eval("1 + 1") == 2
            return time.perf_counter() - began

    return once


def bare(stack: ExitStack, kind: str) -> Callable[[], float]:
    words = [sys.executable, "-I", "-S", "-c", state(kind) + BARE]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    stack.callback(child.wait)
    assert child.stdin is not None
    assert child.stdout is not None
    given, answers = child.stdin, child.stdout
    stack.callback(answers.close)
    stack.callback(given.close)

    def once() -> float:
        began = time.perf_counter()
        given.write(b"x")
        assert answers.read(1) == b"x"
        return time.perf_counter() - began

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--json")
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    for name, kind in STATES.items():  # one after the other: each holds two gigabytes
        with ExitStack() as stack:
            ways = {f"fork() of a session, {name}": branched(stack, kind)}
            if name == "small":
                ways["the same, until its first result"] = first_answer(stack, kind)
            ways[f"bare fork of a Python, {name}"] = bare(stack, kind)
            for way in ways.values():
                way()
            for _ in range(options.turns):
                for way, once in ways.items():
                    found.setdefault(way, []).append(once())
    print(f"{'milliseconds':<44}{'median':>9}{'p90':>9}{'least':>9}")
    rows = {}
    for way, times in found.items():
        row = [statistics.median(times), statistics.quantiles(times, n=10)[-1], min(times)]
        rows[way] = dict(zip(("median", "p90", "least"), (1e3 * t for t in row), strict=True))
        print(f"{way:<44}" + "".join(f"{1e3 * t:>9.2f}" for t in row))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rows": rows, "load": os.getloadavg()}, file, indent=1)


if __name__ == "__main__":
    main()
