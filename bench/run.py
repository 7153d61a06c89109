"""`make bench`: what Belljar costs, as ratios to plain CPython measured in the same rounds.

Every figure is a median over interleaved rounds (plain, belljar, peers, plain, ...), each a
process of its own. The plain interpreter is the real binary behind the virtual environment: a
version manager's shim alone would cost more than a sandbox. bubblewrap and sandlock take part
where they are installed.

    bench/run.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PLAIN = os.path.realpath(sys.executable)
BELLJAR = [sys.executable, str(HERE.parent / "tools" / "belljar")]
INSTALLED = Path(sys.executable).parent / "belljar"
if INSTALLED.exists():
    BELLJAR = [str(INSTALLED)]

TARGETS = {
    ("start", "belljar"): 4.0,
    ("open+close", "belljar"): 1.10,
    ("stat", "belljar"): 1.10,
    ("cpu", "belljar"): 1.10,
    ("imports", "belljar watch"): 1.10,
}
Command = list[str]


def bubblewrap(folder: str, command: Command) -> Command | None:
    """The same command in bubblewrap: everything unshared, the interpreter and `folder` shown."""
    if not shutil.which("bwrap"):
        return None
    show = [
        "--ro-bind",
        "/usr",
        "/usr",
        "--symlink",
        "usr/lib",
        "/lib",
        "--symlink",
        "usr/lib64",
        "/lib64",
    ]
    show += ["--ro-bind", "/etc", "/etc", "--ro-bind", sys.base_prefix, sys.base_prefix]
    show += ["--tmpfs", "/tmp", "--ro-bind", folder, folder, "--dev", "/dev", "--proc", "/proc"]
    return [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
        *show,
        "--",
        *command,
    ]


def sandlock(folder: str, command: Command) -> Command | None:
    """The same command through sandlock's Python API, where its package is installed."""
    if importlib.util.find_spec("sandlock") is None:
        return None
    shown = ["/usr", "/lib", "/lib64", "/etc", "/proc", "/dev", sys.base_prefix, folder]
    code = (
        "import sys; from sandlock import Sandbox\n"
        f"done = Sandbox(fs_readable={shown!r}).run(sys.argv[1:])\n"
        "sys.stdout.buffer.write(done.stdout or b'')\n"
        "sys.exit(done.exit_code)"
    )
    return [sys.executable, "-c", code, *command]


def clock(command: Command) -> float:
    """Seconds of the whole process. Raises when it fails: a refusal is not a fast run."""
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    took = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}: {done.stderr.decode()[-300:]}"
        )
    return took


def report(command: Command) -> float:
    """The seconds that the program measured inside itself: the last word that it prints."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}: {done.stderr.decode()[-300:]}"
        )
    return float(done.stdout.split()[-1])


def rounds(
    kinds: dict[str, Command | None], measure: Callable[[Command], float], count: int
) -> dict[str, list[float]]:
    """`count` interleaved measurements of each kind that can be had, after one warm-up."""
    usable = {}
    for name, command in kinds.items():
        if command is None:
            continue
        try:
            measure(command)
        except RuntimeError as error:
            if name in ("plain", "belljar", "belljar watch"):
                raise
            print(f"  {name}: left out: {error}", file=sys.stderr)
            continue
        usable[name] = command
    figures: dict[str, list[float]] = {name: [] for name in usable}
    for _ in range(count):
        for name, command in usable.items():
            figures[name].append(measure(command))
    return figures


LOOPS = {
    "open+close": "for _ in range(20000): o(f).close()",
    "stat": "for _ in range(20000): s(f)",
    "cpu": "for i in range(3000000): x = i * i",
}


def loop(body: str, path: str) -> str:
    """A program that times `body` and prints the seconds."""
    return (
        f"import os, time; o = open; s = os.stat; f = {path!r}\n"
        f"t = time.perf_counter()\n{body}\nprint(time.perf_counter() - t)"
    )


def tasks(folder: str, count: int) -> dict[str, dict[str, list[float]]]:
    """All measurements: task -> kind -> seconds."""
    path = os.path.join(folder, "granted.txt")
    Path(path).write_text("x" * 100)
    quiet = [*BELLJAR, "run", "--no-policy", "--quiet", "--ledger", os.path.join(folder, "ledger")]
    quiet += ["--python", sys.executable]
    plain = [PLAIN, "-I", "-S", "-c"]
    found = {
        "start": rounds(
            {
                "plain": [*plain, "pass"],
                "belljar": [*quiet, "-c", "pass"],
                "bubblewrap": bubblewrap(folder, [*plain, "pass"]),
                "sandlock": sandlock(folder, [*plain, "pass"]),
                "belljar --version": [*BELLJAR, "--version"],
                "plain with site": [sys.executable, "-c", "pass"],
            },
            clock,
            3 * count,
        )
    }
    for name, body in LOOPS.items():
        code = loop(body, path)
        kinds = {
            "plain": [*plain, code],
            "belljar": [*quiet, "--read", folder, "-c", code],
            "bubblewrap": bubblewrap(folder, [*plain, code]),
            "sandlock": sandlock(folder, [*plain, code]),
        }
        found[name] = rounds(kinds, report, count)
    imports = loop("import asyncio, ssl, json", path)
    watch = [*BELLJAR, "watch", "--quiet", "--ledger", os.path.join(folder, "ledger"), "--"]
    kinds = {"plain": [*plain, imports], "belljar watch": [*watch, *plain, imports]}
    found["imports"] = rounds(kinds, report, 2 * count)
    found["imports, whole process"] = rounds(kinds, clock, 2 * count)
    return found


def show(found: dict[str, dict[str, list[float]]]) -> bool:
    """Print the table; True when every target is met."""
    print(f"{'task':<24} {'kind':<18} {'median':>10} {'ratio':>7} {'target':>7}")
    met = True
    for task, kinds in found.items():
        base = statistics.median(kinds["plain"])
        for kind, seconds in kinds.items():
            middle = statistics.median(seconds)
            target = TARGETS.get((task, kind))
            good = target is None or middle / base <= target
            met &= good
            mark = "" if target is None else f"{target:7.2f}" + ("" if good else "  over")
            print(f"{task:<24} {kind:<18} {middle * 1e3:8.2f}ms {middle / base:7.2f} {mark}")
    return met


def begin(description: str, count: int) -> argparse.Namespace:
    """What the command line says (`rounds`, `json`); prints which machine this is."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=count)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    uname = os.uname()
    version = "{}.{}.{}".format(*sys.version_info[:3])
    machine = f"Linux {uname.release} {uname.machine}, {os.cpu_count()} cores"
    print(f"CPython {version}, {machine}, uid {os.geteuid()}")
    return options


def main() -> int:
    """Measure, print, and say by the exit status whether the targets are met."""
    options = begin(__doc__.partition("\n")[0], 11)
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as folder:
        found = tasks(folder, options.rounds)
    met = show(found)
    if options.json:
        Path(options.json).write_text(json.dumps(found))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
