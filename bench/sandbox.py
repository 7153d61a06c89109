"""What a sandbox costs beside no sandbox and beside others, in one run: a cold start to a printed
result, granted files, processor, a large import, and confinement itself.

    bench/sandbox.py [--rounds N] [--json FILE]

Ratios to plain CPython, medians of interleaved rounds (plain, belljar, bubblewrap, sandlock,
gVisor, plain, ...). The others take part where they are installed; what does not start says why.
`bench/run.py` has the targets of `belljar run` and `watch`, `bench/network.py` pipes and TCP.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import run
from run import BELLJAR, PLAIN, TARGETS, Command, bubblewrap, clock, loop, report, rounds, sandlock

MOST = 1.05  # of plain, for what goes through no supervisor
TARGETS.update(
    {
        ("open+read+close", "belljar"): MOST,
        ("stat", "belljar"): MOST,
        ("cpu", "belljar"): MOST,
        ("import numpy", "belljar"): 1.10,
    }
)
ADDED = 3.0  # milliseconds that confinement may add to a process start
BODIES = {
    "open+read+close": "for _ in range(20000):\n    g = o(f)\n    g.read()\n    g.close()",
    "stat": "for _ in range(20000): s(f)",
    "cpu": "for i in range(3000000): x = i * i",
}


def gvisor(command: Command) -> Command | None:
    """The same command under gVisor, which shows it the host's files without leave to write."""
    runsc = shutil.which("runsc")
    return None if runsc is None else [runsc, "--network=none", "--ignore-cgroups", "do", *command]


def kinds(folder: str, plain: Command, inside: Command) -> dict[str, Command | None]:
    return {
        "plain": plain,
        "belljar": inside,
        "bubblewrap": bubblewrap(folder, plain),
        "sandlock": sandlock(folder, plain),
        "gVisor": gvisor(plain),
    }


def tasks(folder: str, count: int) -> dict[str, dict[str, list[float]]]:
    """All measurements: task -> kind -> seconds."""
    path = os.path.join(folder, "granted.txt")
    Path(path).write_text("x" * 100)
    quiet = [*BELLJAR, "run", "--no-policy", "--quiet", "--ledger", os.path.join(folder, "ledger")]
    quiet += ["--python", sys.executable]
    plain = [PLAIN, "-I", "-S", "-c"]
    found = {}
    printed = kinds(folder, [*plain, "print(1)"], [*quiet, "-c", "print(1)"])
    found["cold start, printed"] = rounds(printed, clock, 2 * count)
    for name, body in BODIES.items():
        code = loop(body, path)
        inside = [*quiet, "--read", folder, "-c", code]
        found[name] = rounds(kinds(folder, [*plain, code], inside), report, count)
    code = loop("import numpy", path)
    inside = [*quiet, "--import", "numpy", "-c", code]
    found["import numpy"] = rounds(
        kinds(sys.prefix, [sys.executable, "-I", "-c", code], inside), report, count
    )
    return found


def added(count: int) -> tuple[float, float]:
    """Milliseconds of a plain start, and of one in walls by a host that runs already: the
    keeper's work, the recorder and the record of a run, and nothing of the command's own start."""
    from belljar.confine.program import Program
    from belljar.model import Policy
    from belljar.sandbox.run import Session

    policy = Policy(ledger="none")
    program = Program("code", "pass", (), os.getcwd(), (), PLAIN, "-c")
    times: dict[str, list[float]] = {"plain": [], "confined": []}
    for turn in range(count + 2):
        began = time.perf_counter()
        Session(policy, program, lambda *_: None).run()
        middle = time.perf_counter()
        clock([PLAIN, "-I", "-S", "-c", "pass"])
        if turn > 1:
            times["confined"].append(middle - began)
            times["plain"].append(time.perf_counter() - middle)
    plain, confined = (1e3 * statistics.median(times[name]) for name in ("plain", "confined"))
    return plain, confined


def main() -> int:
    """Measure, print, and say by the exit status whether the targets are met."""
    options = run.begin(__doc__.partition("\n")[0], 9)
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as folder:
        found = tasks(folder, options.rounds)
    met = run.show(found)
    plain, confined = added(4 * options.rounds)
    more = confined - plain
    word = "" if more <= ADDED else "  over"
    print(
        f"{'a start in walls':<24} {'plain':<18} {plain:8.2f}ms\n"
        f"{'':<24} {'belljar, warm host':<18} {confined:8.2f}ms   +{more:.2f}ms   {ADDED:.2f}{word}"
    )
    if options.json:
        Path(options.json).write_text(json.dumps(found))
    return 0 if met and not word else 1


if __name__ == "__main__":
    sys.exit(main())
