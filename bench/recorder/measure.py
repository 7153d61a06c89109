"""Running one program plain, recorded, and under the rivals, in the same rounds."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from belljar.watch import attach
from belljar.watch.record import Record
from belljar.watch.run import watch

HOOK = str(Path(__file__).parent / "hook")
Runner = Callable[[list[str], dict[str, str]], float]


def _check(status: int, argv: list[str]) -> None:
    if status:
        raise RuntimeError(f"{' '.join(argv)[:200]} ended with {status}")


def plain(argv: list[str], env: dict[str, str]) -> float:
    """Nothing recorded. Every runner gives the seconds from the program's start to its end."""
    start = time.perf_counter()
    done = subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, check=False)
    took = time.perf_counter() - start
    _check(done.returncode, argv)
    return took


def hooked(flush: bool) -> Runner:
    """A Python-level hook that appends JSON, with or without a write for each event."""

    def run(argv: list[str], env: dict[str, str]) -> float:
        with tempfile.NamedTemporaryFile() as file:
            more = {"BENCH_HOOK": file.name, "PYTHONPATH": HOOK}
            return plain(argv, {**env, **more, **({"BENCH_FLUSH": "1"} if flush else {})})

    return run


def recorded(**settings: object) -> Runner:
    """Belljar's recorder, its collector in this process, the record in a ledger of its own."""

    def run(argv: list[str], env: dict[str, str]) -> float:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, Record(folder) as record:
            record.start(argv)
            text = attach.settings(**settings) if settings else ""  # type: ignore[arg-type]
            start = time.perf_counter()
            with _silent():
                done = watch(argv, env, record.take, settings=text)
            took = time.perf_counter() - start
            record.end(done)
            _check(done.status, argv)
            if done.drops or done.findings:
                raise RuntimeError(f"the record of {argv[0]} has flaws: {done.findings}")
            return took

    return run


@contextmanager
def _silent() -> Iterator[None]:
    """What a watched program writes is its own: let it go nowhere, as in the other kinds."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def traced(argv: list[str], env: dict[str, str]) -> float:
    """strace, filtered to what the cross-check looks at."""
    calls = "trace=%file,connect,bind,execve,memfd_create,ptrace"
    return plain(["strace", "-f", "-qq", "-o", "/dev/null", "-e", calls, *argv], env)


def cross_checked(argv: list[str], env: dict[str, str]) -> float:
    """The recorder and the kernel's view of the same calls."""
    command = [os.environ.get("BENCH_BELLJAR", "belljar"), "watch", "--cross-check", "--quiet"]
    return plain([*command, "--ledger", "none", "--", *argv], env)


def runners(scale: bool) -> dict[str, Runner]:
    """The kinds to compare; with `scale` also what traces system calls."""
    found: dict[str, Runner] = {
        "plain": plain,
        "recorder": recorded(),
        "hook, all skipped": recorded(select=(("skip", "*"),)),  # what any hook costs CPython
        "python hook": hooked(flush=False),
        "python hook, written": hooked(flush=True),
    }
    if scale:
        found["cross-check"] = cross_checked
        if shutil.which("strace"):
            found["strace -f"] = traced
    return found


def interleaved(
    argv: list[str],
    env: dict[str, str],
    kinds: dict[str, Runner],
    count: int,
    prepare: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds of `count` rounds of every kind, one after the other, after a round of warming."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for at in range(count + 1):
        for name, run in kinds.items():
            prepare()
            took = run(argv, env)
            if at:
                seconds[name].append(took)
    return seconds


def ratios(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Each kind's median of the rounds' ratios to plain: what the machine does meanwhile falls
    on both."""
    base = seconds["plain"]
    return {
        name: statistics.median(own / other for own, other in zip(times, base, strict=True))
        for name, times in seconds.items()
    }
