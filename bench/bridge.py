"""The bridge without walls: `python bench/bridge.py [ROUNDS]`.

A plain Python process runs the guest's parts on a socket pair. Beside each other, in one run: a
call into the guest, a call out of it, a warm call of `ProcessPoolExecutor`, and a byte to and fro
over a pipe; then the codec alone, beside `pickle`. Medians in microseconds.
"""

from __future__ import annotations

import os
import pickle
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit/sandbox/bridge"))

from plain import Plain

from belljar.sandbox.guest.values import dumps, loads

DEFINITIONS = """
def one(): return 1
def ask(n):
    import time
    request, found = peer.request, []
    for _ in range(n):
        start = time.perf_counter()
        request("call", (1, "read", ("x",), {}))
        found.append(time.perf_counter() - start)
    return sorted(found)[n // 2]
"""
VALUES = {
    "a small request": (1, "read", ("x",), {}),
    "a record's worth": {"name": "x" * 20, "at": 1.5, "tags": ["a", "b"], "n": 12345, "ok": True},
    "1,000 floats": [float(n) for n in range(1000)],
    "1,000 texts": [str(n) for n in range(1000)],
    "1,000 keys": {n: n for n in range(1000)},
}


def one() -> int:
    return 1


def median(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def echo() -> tuple[int, int, int]:
    """A child that sends back each byte, and its pipes."""
    there, give = os.pipe()
    take, back = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(give)
        while data := os.read(there, 1):
            os.write(back, data)
        os._exit(0)
    os.close(there)
    os.close(back)
    return give, take, pid


def main(rounds: int = 2000) -> None:
    give, take, pid = echo()
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    with Plain(lambda op, body, request: 1) as guest, ProcessPoolExecutor(1) as pool:
        request = guest.peer.request
        request("run", (DEFINITIONS,))
        pool.submit(one).result()
        for _ in range(5):  # interleaved: the machine does other things, too
            note("call into the guest", median(lambda: request("call", ("one", (), {})), rounds))
            note("call out of the guest", request("call", ("ask", (rounds,), {})) * 1e6)
            note("run('')", median(lambda: request("run", ("",)), rounds))
            note("ProcessPoolExecutor", median(lambda: pool.submit(one).result(), rounds // 4))

            def byte() -> None:
                os.write(give, b"x")
                os.read(take, 1)

            note("a byte over a pipe", median(byte, rounds))
    os.close(give)
    os.waitpid(pid, 0)
    os.close(take)
    for name, values in found.items():
        print(f"{name:24} {min(values):8.1f} to {max(values):8.1f}")
    print(f"\n{'codec':24} {'encode':>8} {'decode':>8} {'bytes':>8}   pickle")
    for name, value in VALUES.items():
        data, pickled = dumps(value), pickle.dumps(value)
        times = [
            median(work, 200)
            for work in (
                lambda value=value: dumps(value), lambda data=data: loads(data),
                lambda value=value: pickle.dumps(value), lambda data=pickled: pickle.loads(data),
            )
        ]  # fmt: skip
        print(f"{name:24} {times[0]:8.1f} {times[1]:8.1f} {len(data):8}   ", end="")
        print(f"{times[2]:.1f} {times[3]:.1f} {len(pickled)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
