"""How long a question about one process takes in a large ledger, and the index before it.

A ledger of EVENTS events of 1,000 processes is written (200,000 differ, then they come again with
other numbers), indexed once, and asked for what one process did: through `belljar log query` as a
user does, start of the interpreter included. Target: under 1 s in 10 million events.

bench/ledger_query.py [EVENTS]
"""

from __future__ import annotations

import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import msgspec

from belljar.ledger import EVENTS, Writer

HEADER = struct.Struct("<HHBBHIIQQ")
BATCH = 1000
DIFFERENT = 200
ROUNDS = 5
QUESTION = "SELECT name, count(*) AS times FROM events WHERE pid = 77 GROUP BY name ORDER BY name"


def body(number: int) -> bytes:
    where = ["/srv/app/worker.py", 40 + number % 50, "load"]
    kinds = (
        ["open", [f"/srv/data/{number % 977}/file-{number}.json", "r", 524288], where, None],
        ["socket.connect", [None, [f"10.0.{number >> 8 & 255}.{number & 255}", 443]], where, None],
        ["import", [f"pkg{number}.mod", None, None, None, None], where, None],
        ["os.listdir", [f"/srv/data/{number}"], where, "/srv"],
    )
    return msgspec.msgpack.encode(kinds[number % 4])


def fill(directory: str, events: int) -> None:
    bodies = [body(number) for number in range(BATCH * DIFFERENT)]
    with Writer(directory, sync="never", clerk=False) as writer:
        for start in range(0, events, BATCH):
            frames = bytearray()
            for number in range(start, min(start + BATCH, events)):
                data = bodies[number % len(bodies)]
                head = (0x4A42, HEADER.size + len(data), 2, 0, 2, number % 1000 + 1, 5, number)
                frames += HEADER.pack(*head, 10**18 + number * 1000) + data
            writer.append([(EVENTS, min(BATCH, events - start), bytes(frames))], bytes(16))


def ask(directory: str) -> float:
    code = "import sys; from belljar.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "log", "query", QUESTION, directory]
    began = time.perf_counter()
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    took = time.perf_counter() - began
    assert len(done.stdout.splitlines()) == 2, done.stdout + done.stderr  # a heading and a kind
    return took


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = os.path.join(folder, "cache")
        directory = os.path.join(folder, "ledger")
        fill(directory, events)
        first = ask(directory)
        later = statistics.median(ask(directory) for _ in range(ROUNDS))
    print(f"events                               {events:>12,}")
    print(
        f"first question, with the index       {first:>12.1f} s  ({events / first:,.0f} events/s)"
    )
    print(f"question about one process           {later:>12.2f} s  (target 1)")


if __name__ == "__main__":
    main()
