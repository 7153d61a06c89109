"""The cost of one event, by how it is recorded."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import HOOK

from belljar.watch import attach
from belljar.watch.record import Record
from belljar.watch.run import watch

#: Times `audit` in a loop, takes the loop itself off, and prints nanoseconds for one event. The
#: fastest of the rounds: what else runs here can only add.
LOOP = """
import sys, time
name, rounds, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
audit, clock, some = sys.audit, time.perf_counter_ns, range(count)
def events():
    start = clock()
    for _ in some: audit(name, 1, "a text of some length", None)
    return clock() - start
def nothing(*args): pass
found = [events() / count for _ in range(rounds)]
print(min(found))
"""
#: One event at a time, after a pause in which the collector goes to sleep. The program spends it
#: computing: after a sleep of its own all caches are cold, and even an event that nobody hears
#: takes ten microseconds. Nobody is woken then (the collector naps): what it costs more than a busy
#: one is what is cold by then, which `PIPE` shows of a bare system call.
WOKEN = """
import sys, time
name, rounds = sys.argv[1], int(sys.argv[2])
audit, clock, found = sys.audit, time.perf_counter_ns, []
for _ in range(rounds):
    until = clock() + 30_000_000
    while clock() < until: pass
    start = clock()
    audit(name, 1, "a text of some length", None)
    found.append(clock() - start)
print(sorted(found)[len(found) // 2])
"""
#: For scale: what one `write` of 200 bytes costs after such a pause, where nobody waits for it and
#: where a reader is woken by it.
PIPE = """
import os, select, sys, time
wakes, rounds = sys.argv[1] == "wakes", int(sys.argv[2])
read, write = os.pipe()
if wakes and os.fork() == 0:
    os.close(write)
    poll = select.poll()
    poll.register(read, select.POLLIN)
    while poll.poll() and os.read(read, 65536):
        pass
    os._exit(0)
clock, found, data = time.perf_counter_ns, [], bytes(200)
for _ in range(rounds):
    until = clock() + 30_000_000
    while clock() < until: pass
    start = clock()
    os.write(write, data)
    found.append(clock() - start)
    if not wakes: os.read(read, 65536)
print(sorted(found)[len(found) // 2])
"""
OPENS = """
import sys, time
name, rounds, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
clock, file, some = time.perf_counter_ns, sys.executable, range(count)
def opens():
    start = clock()
    for _ in some: open(file, "rb").close()
    return clock() - start
print(min(opens() / count for _ in range(rounds)))
"""
#: `bench.*` may pend in the page, `socket.*` is written at once.
BULK, WRITTEN = "bench.event", "socket.bench"


def _outside(code: str, words: list[str], more: dict[str, str]) -> float:
    argv = [sys.executable, "-c", code, *words]
    done = subprocess.run(argv, env={**os.environ, **more}, capture_output=True, check=True)
    return float(done.stdout)


def _hook(code: str, words: list[str], flush: bool) -> float:
    with tempfile.NamedTemporaryFile() as file:
        more = {"BENCH_HOOK": file.name, "PYTHONPATH": HOOK}
        return _outside(code, words, {**more, **({"BENCH_FLUSH": "1"} if flush else {})})


def _recorded(code: str, words: list[str], select: tuple[tuple[str, str], ...] = ()) -> float:
    """Under the recorder, the record in a ledger; the program's figure comes by a file."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Record(folder + "/ledger") as record,
    ):
        out = Path(folder, "figure")
        code = f"import sys; sys.stdout = open({str(out)!r}, 'w')\n{code}\nsys.stdout.close()"
        argv = [sys.executable, "-c", code, *words]
        record.start(argv)
        text = attach.settings(select=select)
        done = watch(argv, dict(os.environ), record.take, settings=text)
        record.end(done)
        if done.status or done.drops or done.findings:
            raise RuntimeError(f"ended with {done.status}: {done.findings}")
        return float(out.read_text())


def table(rounds: int) -> dict[str, float]:
    """Nanoseconds an event, as medians of `rounds` interleaved processes of every kind."""
    bulk, written = [BULK, "40", "2000"], [WRITTEN, "40", "2000"]
    woken, opened = [WRITTEN, "40"], [BULK, "40", "2000"]
    rules = {n: tuple(("keep", f"other.{i}") for i in range(n)) for n in (1, 100, 1000)}
    kinds: dict[str, Callable[[], float]] = {
        "no hook": lambda: _outside(LOOP, bulk, {}),
        "python hook, buffered": lambda: _hook(LOOP, bulk, flush=False),
        "python hook, written": lambda: _hook(LOOP, bulk, flush=True),
        "filtered out": lambda: _recorded(LOOP, bulk, (("skip", "bench.*"),)),
        "buffered": lambda: _recorded(LOOP, bulk),
        **{
            f"buffered, {n} filter lines": lambda lines=lines: _recorded(LOOP, bulk, lines)  # type: ignore[misc]
            for n, lines in rules.items()
        },
        "written, collector busy": lambda: _recorded(LOOP, written),
        "no hook, after a pause": lambda: _outside(WOKEN, woken, {}),
        "written, collector asleep": lambda: _recorded(WOKEN, woken),
        "os.write, after a pause": lambda: _outside(PIPE, ["alone", "40"], {}),
        "os.write that wakes a reader": lambda: _outside(PIPE, ["wakes", "40"], {}),
        "open+close, no hook": lambda: _outside(OPENS, opened, {}),
        "open+close, recorder": lambda: _recorded(OPENS, opened),
        "open+close, python hook": lambda: _hook(OPENS, opened, flush=False),
        "open+close, python hook, written": lambda: _hook(OPENS, opened, flush=True),
    }
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, run in kinds.items():
            found[name].append(run())
    return {name: statistics.median(values) for name, values in found.items()}
