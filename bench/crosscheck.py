"""What `belljar watch --cross-check` costs: ratios against plain, in one run.

First the mechanisms (bench/supervision.c): what a supervisor that reads the path costs a loop of
open and close. Then the tracer on the same loop in C and on whole Python programs, beside the
recorder alone and `strace -f` with the same filter, where that is installed. The best of some
rounds.

    bench/crosscheck.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from belljar.watch import run
from belljar.watch.crosscheck import CrossCheck, prefix

CALLS = (
    "open,openat,connect,bind,execve,unlink,unlinkat,rename,renameat,memfd_create,ptrace,"
    "mprotect,mmap,sendto"
)
LOOP = "import os\nfor _ in range(20000): os.close(os.open('/etc/hostname', 0))"
IMPORTS = "import asyncio, http.client, email.message, xml.dom.minidom, sqlite3, ssl"
CHILDREN = "import subprocess\nfor _ in range(50): subprocess.run(['/bin/true'])"
C_LOOP = """
#include <fcntl.h>
#include <unistd.h>
int main(void) { for (int i = 0; i < 50000; i++) close(open("/etc/hostname", O_RDONLY)); return 0; }
"""


def compiled(folder: Path, source: Path, name: str) -> str:
    """A C program in `folder`."""
    subprocess.run(["cc", "-O2", str(source), "-o", str(folder / name)], check=True)
    return str(folder / name)


def timed(action: object) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def watched(argv: list[str], words: tuple[str, ...]) -> None:
    """Watch a command; match what comes when there is nothing to collect, as the command does."""
    check = CrossCheck()

    def take(chunks: list) -> None:
        for chunk in chunks if words else ():
            check.take(chunk)

    run.watch(argv, os.environ, take, check.work, prefix=words)
    check.report()


def programs(folder: Path) -> dict[str, list[str]]:
    """The programs that are timed."""
    (folder / "loop.c").write_text(C_LOOP)
    loop = compiled(folder, folder / "loop.c", "loop")
    python = [sys.executable, "-I", "-c"]
    return {
        "open loop in C": [loop],
        "open loop in Python": [*python, LOOP],
        "imports": [*python, IMPORTS],
        "50 children": [*python, CHILDREN],
    }


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mechanisms: dict[str, float] = {}
        probe = compiled(folder, Path(__file__).with_name("supervision.c"), "supervision")
        for _ in range(options.rounds):
            told = subprocess.run([probe], check=True, capture_output=True, text=True).stdout
            for line in told.splitlines():
                what, took = line.split()
                mechanisms[what] = min(float(took), mechanisms.get(what, 1e9))
        results["mechanisms, us"] = mechanisms
        for title, argv in programs(folder).items():
            ways = {
                "plain": lambda argv=argv: subprocess.run(argv, check=True),
                "watch": lambda argv=argv: watched(argv, ()),
                "cross-check": lambda argv=argv: watched(argv, prefix()),
            }
            if shutil.which("strace"):
                traced = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}", *argv]
                ways["strace -f, filtered"] = lambda traced=traced: subprocess.run(
                    traced, check=True
                )
                by_bpf = [*traced[:2], "--seccomp-bpf", *traced[2:]]
                ways["strace --seccomp-bpf"] = lambda by_bpf=by_bpf: subprocess.run(
                    by_bpf, check=True
                )
            best = dict.fromkeys(ways, 1e9)
            for _ in range(options.rounds):
                for way, action in ways.items():
                    best[way] = min(best[way], timed(action))
            results[title] = {way: took / best["plain"] for way, took in best.items()}
            results[title]["plain, ms"] = best["plain"] * 1000
    if options.json:
        print(json.dumps(results, indent=2))
        return 0
    for title, row in results.items():
        print(title)
        for way, value in row.items():
            print(f"    {way:<24}{value:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
