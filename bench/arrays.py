"""What it costs to pass a 100 MB numpy array into a sandbox and out of it, in one run.

    python bench/arrays.py [megabytes]

Beside each other, turn by turn: arrays made with `belljar.array` (shared from birth), ordinary
ones, one copy of such an array in this process (into fresh memory of 4 KiB pages, which is what a
copy into shared memory is; and numpy's own, which may use huge pages), and a ProcessPoolExecutor,
which pickles.
"""

from __future__ import annotations

import mmap
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np

import belljar

TURNS = 9
COPY = "one copy, numpy"
SETUP = """
import belljar, numpy
def size(a):
    return a.size
def shared(n):
    a = belljar.array((n,), 'u1')
    a[:] = 1
    global kept
    kept = [a]
def give():
    return kept.pop()
def private(n):
    global mine
    mine = numpy.ones(n, 'u1')
def copy_out():
    return mine
"""


def size(a: np.ndarray) -> int:
    return a.size


def ones(n: int) -> np.ndarray:
    return np.ones(n, "u1")


def timed(work: object, *args: object) -> float:
    begun = time.perf_counter()
    result = work(*args)  # type: ignore[operator]
    if work is list.pop:
        del result  # what is measured is its end
        return (time.perf_counter() - begun) * 1000
    taken = time.perf_counter() - begun
    del result
    return taken * 1000


def small_pages(a: np.ndarray) -> mmap.mmap:
    own = mmap.mmap(-1, a.nbytes)
    own.madvise(mmap.MADV_NOHUGEPAGE)
    np.frombuffer(own, "u1")[:] = a
    return own


def written(n: int) -> list[mmap.mmap]:
    """A mapping of shared memory, all of it written to."""
    import os

    fd = os.memfd_create("bench")
    os.ftruncate(fd, n)
    made = mmap.mmap(fd, n)
    os.close(fd)
    np.frombuffer(made, "u1")[:] = 1
    return [made]


def measure(n: int, turns: int) -> dict[str, list[float]]:
    """Milliseconds of each, turn by turn."""
    plain = np.random.default_rng(1).integers(0, 255, n, "u1")
    born = belljar.array((n,), "u1")
    born[:] = plain
    found: dict[str, list[float]] = {}
    with (
        belljar.Sandbox(ledger="none", import_=["numpy"], memory="2G", wall=600, cpu=600) as box,
        ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool,
    ):
        box.run(SETUP, check=True)
        box.call("size", plain[:1_000_000])
        pool.submit(size, plain[:10]).result()
        for _ in range(turns):
            for name, work, *args in (
                ("in: belljar.array", box.call, "size", born),
                ("in: an ordinary array", box.call, "size", plain),
                ("in: ProcessPoolExecutor", lambda: pool.submit(size, plain).result()),
                ("out: belljar.array of the guest's", box.call, "give"),
                ("out: an ordinary array", box.call, "copy_out"),
                ("out: ProcessPoolExecutor", lambda: pool.submit(ones, n).result()),
                ("one copy, small pages", small_pages, plain),
                (COPY, plain.copy),
                ("the end of a mapping of as much", list.pop, written(n)),
                ("an empty call", box.call, "len", ""),
            ):
                if name.startswith("out: bel"):
                    box.call("shared", n)
                if name.startswith("out: an"):
                    box.call("private", n)
                found.setdefault(name, []).append(timed(work, *args))
    return found


def rows(report: Any, found: dict[str, list[float]]) -> None:
    """As rows of `bench/live.py`. What a copy is, numpy says: its memory has large pages, too."""
    for name, times in found.items():
        target = 2 if "belljar.array" in name else None
        report.line(f"100 MB {name}", median(times), "ms", target, f"least {min(times):.2f}")
        if "ordinary" in name:
            ratio = min(times) / min(found[COPY])
            report.line("  in copies by numpy (least to least)", ratio, "", 1.3)


def main() -> None:
    n = int(sys.argv[1] if len(sys.argv) > 1 else "100") * 1_000_000
    found = measure(n, TURNS)
    copy = median(found[COPY])
    print(f"{n / 1e6:.0f} MB, {TURNS} turns; milliseconds")
    for name, times in found.items():
        middle = median(times)
        print(
            f"{name:36} median {middle:8.2f}   best {min(times):8.2f}   "
            f"{middle / copy:6.2f} copies by numpy"
        )


if __name__ == "__main__":
    main()
