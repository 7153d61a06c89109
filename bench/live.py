"""What a live sandbox costs, beside the pools of the standard library, which confine nothing.

    bench/live.py [--seconds N] [--json FILE] [--row N]

All in one run, taking turns, so that the machine is the same for all: medians and 90th percentiles
in microseconds. `fresh` is a new sandbox (or process) until its first result; `warm` one that
lives already, `ready` one that was made before it was asked for, as those of a plan that comes
again are. Then `--row` sandboxes one after the other, and what is left of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context

os.environ["BELLJAR_CLERK"] = "none"

import belljar
from belljar.sandbox.live import ready

#: name, how often in one turn
PLAN = {
    "sandbox, ready": 2,
    "sandbox with a ledger, ready": 2,
    "sandbox from the template": 2,
    "sandbox with a ledger, from the template": 2,
    "run('1 + 1'), warm": 100,
    "eval('1 + 1'), warm": 100,
    "call of a guest function, warm": 100,
    "guest calls a host function": 10,  # of 100 calls each
    "bare fork and exec of python -I -S": 2,
    "ProcessPoolExecutor, fresh (spawn)": 1,
    "ProcessPoolExecutor, fresh (forkserver)": 1,
    "ProcessPoolExecutor, warm": 100,
}


def add(a: int, b: int) -> int:
    return a + b


@contextmanager
def pool(method: str) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as executor:
        yield executor


def fresh_pool(method: str) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        with pool(method) as executor:
            assert executor.submit(add, 1, 1).result() == 2
            return time.perf_counter() - began

    return once


def fresh_sandbox(
    ledger: str, template: belljar.Template, *, waits: bool = False
) -> Callable[[], float]:
    def once() -> float:
        while waits and not ready.pool().ready():
            box = belljar.Sandbox(ledger=ledger, template=template)
            box.close()
            until = time.monotonic() + 1
            while not ready.pool().ready() and time.monotonic() < until:
                time.sleep(0.002)
        began = time.perf_counter()
        box = belljar.Sandbox(ledger=ledger, template=template)
        try:
            assert box.eval("1 + 1") == 2
            return time.perf_counter() - began
        finally:
            box.close()
            if waits:  # the next one is made behind this one: not in what is measured next
                until = time.monotonic() + 1
                while not ready.pool().ready() and time.monotonic() < until:
                    time.sleep(0.002)

    return once


def timed(work: Callable[[], object], share: int = 1) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) / share

    return once


def exec_python() -> None:
    pid = os.posix_spawn(sys.executable, ["python", "-I", "-S", "-c", "pass"], {})
    os.waitpid(pid, 0)


def measure(seconds: float) -> dict[str, list[float]]:
    with ExitStack() as stack:
        ledger = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-live-"))
        box = stack.enter_context(belljar.Sandbox(ledger="none", wall="10m", cpu="10m"))
        template = stack.enter_context(belljar.Template(ready=0))
        kept = stack.enter_context(belljar.Template(ready=1))
        warm = stack.enter_context(pool("spawn"))
        warm.submit(add, 1, 1).result()
        box.run("def add(a, b): return a + b\ndef ask(n):\n    f = host.add\n"
                "    for _ in range(n): f(1, 1)")  # fmt: skip
        box.share("add", functions=add)
        ways: dict[str, Callable[[], float]] = {
            "sandbox, ready": fresh_sandbox("none", kept, waits=True),
            "sandbox with a ledger, ready": fresh_sandbox(ledger, kept, waits=True),
            "sandbox from the template": fresh_sandbox("none", template),
            "sandbox with a ledger, from the template": fresh_sandbox(ledger, template),
            "run('1 + 1'), warm": timed(lambda: box.run("1 + 1")),
            "eval('1 + 1'), warm": timed(lambda: box.eval("1 + 1")),
            "call of a guest function, warm": timed(lambda: box.call("add", 1, 1)),
            "guest calls a host function": timed(lambda: box.call("ask", 100), 100),
            "bare fork and exec of python -I -S": timed(exec_python),
            "ProcessPoolExecutor, fresh (spawn)": fresh_pool("spawn"),
            "ProcessPoolExecutor, fresh (forkserver)": fresh_pool("forkserver"),
            "ProcessPoolExecutor, warm": timed(lambda: warm.submit(add, 1, 1).result()),
        }
        found: dict[str, list[float]] = {name: [] for name in PLAN}
        for name in PLAN:
            ways[name]()  # what is done once in a process is not counted
        until = time.monotonic() + seconds
        while time.monotonic() < until or min(map(len, found.values())) < 3:
            for name, times in PLAN.items():
                found[name] += [ways[name]() for _ in range(times)]
        return found


def in_a_row(count: int) -> None:
    """`count` sandboxes, each closed before the next is asked for."""

    def left() -> dict[str, int]:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            children = len(file.read().split())
        return {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "children": children,
            "MiB": pages * os.sysconf("SC_PAGE_SIZE") >> 20,
        }

    once = fresh_sandbox("none", belljar.Template())
    for _ in range(20):
        once()
    before = left()
    began = time.perf_counter()
    cpu = os.times()
    for _ in range(count):
        once()
    took = time.perf_counter() - began
    used = os.times()
    host = (used.user + used.system - cpu.user - cpu.system) / count * 1e3
    print(
        f"{count} in a row: {count / took:.0f} a second, {host:.2f} ms of the host's processor each"
    )
    print(f"before {before}\nafter  {left()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json")
    parser.add_argument("--row", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    belljar.run("1", ledger="none")
    first = time.perf_counter() - began
    found = measure(options.seconds)
    rows = {
        name: {
            "median": statistics.median(times) * 1e6,
            "p90": statistics.quantiles(times, n=10)[-1] * 1e6,
            "least": min(times) * 1e6,
            "times": len(times),
        }
        for name, times in found.items()
    }
    print(f"{'first use in this process, imports included':<44}{first * 1e6:>10,.0f}")
    print(f"{'microseconds':<44}{'median':>10}{'p90':>10}{'least':>10}{'times':>8}")
    for name, row in rows.items():
        print(f"{name:<44}{row['median']:>10,.0f}{row['p90']:>10,.0f}{row['least']:>10,.0f}"
              f"{row['times']:>8}")  # fmt: skip
    if options.row:
        in_a_row(options.row)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"first": first * 1e6, "rows": rows, "load": os.getloadavg()}, file, indent=1)


if __name__ == "__main__":
    main()
