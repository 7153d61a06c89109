"""What a live sandbox costs, row by row as issue 6 asks for it, beside what others take.

    bench/live.py [--seconds 20] [--sustained 5] [--row 500] [--idle 20] [--json FILE]

All in one run. What is timed takes turns, so that the machine is the same for all: medians, 90th
percentiles and the least. Then how many a second, many in a row, what idle guests occupy, and
arrays. Each row of Belljar's has its target beside it, and `ok` or `over`; what was not measured
says why. A machine that does other things meanwhile shows it: see its load in the last line.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

os.environ["BELLJAR_CLERK"] = "none"

from live_peers import Ways, add, peers, pyodide, timed

import belljar

REST = 0.03  # seconds before a guest that had time to be made ready
FRESH = "fresh, after a rest: first result"
NUMPY = "fresh, numpy imported before: first result"
#: name -> the most that it may take, in its unit
TARGETS = {
    FRESH: 800,
    "fresh, from the template: first result": 2500,
    "first use in a process": 80_000,
    "warm run('1 + 1')": 120,
    "call of a guest function": 80,
    "guest calls a host function": 50,
}
FIRST = """
import time; began = time.perf_counter()
import belljar
assert belljar.run("1 + 1", ledger="none").value == 2
print(time.perf_counter() - began)
"""


def fresh(rest: float, **more: object) -> Callable[[], float]:
    def once() -> float:
        time.sleep(rest)
        began = time.perf_counter()
        box = belljar.Sandbox(**{"ledger": "none", **more})
        try:
            assert box.eval("1 + 1") == 2
            return time.perf_counter() - began
        finally:
            box.close()

    return once


def first_use() -> float:
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, check=True)
    return float(done.stdout)


def ours(stack: ExitStack) -> Ways:
    ledger = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-live-"))
    kept = belljar.Sandbox(ledger="none", wall="60m", cpu="60m")
    box = stack.enter_context(kept)
    grown = belljar.Sandbox(ledger="none", wall="60m", cpu="60m", branches=4)
    state = stack.enter_context(grown)
    bare = stack.enter_context(belljar.Template(ready=0))
    box.run("def add(a, b): return a + b\ndef ask(n):\n    f = host.add\n"
            "    for _ in range(n): f(1, 1)", check=True)  # fmt: skip
    box.share("add", functions=add)
    ways: Ways = [
        (FRESH, 3, fresh(REST)),
        ("fresh, from the template: first result", 3, fresh(0, template=bare)),
        ("fresh, with a ledger: first result", 2, fresh(REST, ledger=ledger)),
        ("first use in a process", 1, first_use),
        ("warm run('1 + 1')", 50, timed(lambda: box.run("1 + 1"))),
        ("warm eval('1 + 1')", 50, timed(lambda: box.eval("1 + 1"))),
        ("call of a guest function", 50, timed(lambda: box.call("add", 1, 1))),
        ("guest calls a host function", 5, timed(lambda: box.call("ask", 100), 100)),
    ]
    if importlib.util.find_spec("numpy"):
        template = stack.enter_context(belljar.Template(modules=["numpy"]))
        ways.insert(3, (NUMPY, 3, fresh(REST, template=template, import_=["numpy"])))
    ways.append(("fork() of a small session", 2, branch(state)))
    return ways


def branch(box: belljar.Sandbox) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        with box.fork() as one:
            assert one.eval("1 + 1") == 2
            return time.perf_counter() - began

    return once


def turns(ways: Ways, seconds: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, _, way in ways:
        way()  # what is done once in a process is not counted
        found[name] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or min(map(len, found.values())) < 3:
        for name, times, way in ways:
            found[name] += [way() * 1e6 for _ in range(times)]
    return found


class Report:
    """Lines as they come; the figures for --json."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = {}
        self.over = 0

    def line(
        self, name: str, figure: float, unit: str, target: float | None, note: str = ""
    ) -> None:
        word = "" if target is None else "ok" if figure <= target else "over"
        self.over += word == "over"
        digits = 0 if abs(figure) >= 100 else 2
        aim = "" if target is None else f"{target:,g}"
        print(f"{name:<50}{figure:>12,.{digits}f} {unit:<4}{aim:>8} {word:<5}{note}", flush=True)
        self.rows[name] = {"figure": figure, "unit": unit, "target": target, "note": note}

    def absent(self, name: str, why: str = "not installed") -> None:
        print(f"{name:<50}{why[:80]!a}" if len(why) > 16 else f"{name:<50}{why:>16}", flush=True)
        self.rows[name] = {"absent": why}


def times(report: Report, found: dict[str, list[float]]) -> None:
    middle = {name: statistics.median(took) for name, took in found.items()}
    for name, took in found.items():
        p90 = statistics.quantiles(took, n=10)[-1]
        note = f"p90 {p90:,.0f}, least {min(took):,.0f}, {len(took)} times"
        report.line(name, middle[name], "us", TARGETS.get(name), note)
        if name == NUMPY:
            report.line("  more than without numpy", middle[NUMPY] - middle[FRESH], "us", 1000)


def family(pid: int) -> Iterator[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return
    for child in children:
        yield child
        yield from family(child)


def kib(pid: int, what: str = "Pss:") -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what))


def sustained(report: Report, seconds: float) -> None:
    """One after another by one thread, for as long; more than one thread share Python's lock."""
    once = fresh(0)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        once()
        count += 1
    rate = count / (time.perf_counter() - began)
    word = "ok" if rate >= 500 else "over"
    report.line("fresh sandboxes a second, one thread", rate, "/s", None, f"(500 at least) {word}")
    report.over += word == "over"


def in_a_row(report: Report, count: int) -> None:
    """What `count` guests in a row leave behind."""

    def left() -> tuple[int, int, int, int]:
        gc.collect()
        time.sleep(0.3)  # what was closed ends beside us
        pids = list(family(os.getpid()))
        memory = kib(os.getpid(), "Private_Dirty:")
        alive = sum(kib(pid, "Private_Dirty:") for pid in pids)
        return len(os.listdir("/proc/self/fd")), len(pids), memory, alive

    once = fresh(0)
    for _ in range(50):
        once()
    before = left()
    for _ in range(count):
        once()
    after = left()
    kinds = ("descriptors", ""), ("processes", ""), ("host", "KiB"), ("its processes", "KiB")
    for (kind, unit), a, b in zip(kinds, before, after, strict=True):
        most = 0 if not unit else 2048
        report.line(f"{count} in a row: more {kind}", b - a, unit, most, f"{a:,} before")


def idle(report: Report, count: int) -> None:
    """Proportional memory of guests that have answered once and do nothing."""
    before = set(family(os.getpid()))
    boxes = [belljar.Sandbox(ledger="none") for _ in range(count)]
    for box in boxes:
        assert box.eval("1 + 1") == 2
    time.sleep(0.3)
    names: dict[str, int] = {}
    for pid in set(family(os.getpid())) - before:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            name = file.read().strip()
        names[name] = names.get(name, 0) + kib(pid)
    for box in boxes:
        box.close()
    note = ", ".join(f"{name} {size // count:,}" for name, size in sorted(names.items()))
    report.line(
        f"an idle guest of {count}, proportional", sum(names.values()) / count, "KiB", 4096, note
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--sustained", type=float, default=5)
    parser.add_argument("--row", type=int, default=500)
    parser.add_argument("--idle", type=int, default=20)
    parser.add_argument("--json")
    options = parser.parse_args()
    report = Report()
    with ExitStack() as stack:
        beside, missing = peers(stack)
        times(report, turns([*ours(stack), *beside], options.seconds))
        for name, why in missing:
            report.absent(name, why)
    found = pyodide()
    for name, took in (found or {}).items():
        report.line(f"Pyodide in node: {name}", took, "us", None, "once")
    if found is None:
        report.absent("Pyodide in node")
    if options.sustained:
        sustained(report, options.sustained)
    if options.row:
        in_a_row(report, options.row)
    if options.idle:
        idle(report, options.idle)
    if importlib.util.find_spec("numpy"):
        import arrays

        arrays.rows(report, arrays.measure(100_000_000, 5))
    else:
        report.absent("arrays", "needs numpy")
    load = os.getloadavg()
    print(f"{report.over} over; {os.cpu_count()} cores, load {load[0]:.1f}, Python "
          f"{sys.version.split()[0]}, Linux {os.uname().release}")  # fmt: skip
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rows": report.rows, "load": load}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
