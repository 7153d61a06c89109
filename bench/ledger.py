"""What the ledger costs against `logging` with JSON lines of the same events, as ratios.

The events are those of a real program (it copies, compiles, opens and removes the modules of the
standard library's packages) as the recorder told them, with numbers and times that go on when
they are repeated. The baseline is what one would write by hand: a `logging.FileHandler`, a line
of compact JSON an event with the same in it: time, run, process, thread, number, name, arguments,
stack. Its dictionaries are made before the clock starts. Rates are events for each second of this
process's processor time, so they hold for one core.

bench/ledger.py [EVENTS] [--batch BYTES] [--sync never|batch|always] [--signed] [--json]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import msgspec

from belljar.ledger import EVENTS, Writer
from belljar.ledger.reader import read, verify

HEADER = struct.Struct("<HHBBHIIQQ")
RUN = bytes(range(16))
ROUNDS = 3
DISTINCT = 200_000  # events that are prepared; more are these again
BASELINE = 200_000  # events that are logged for the baseline: its rate is flat

PROGRAM = """
import compileall, json, os, shutil, tempfile
folder = tempfile.mkdtemp()
library = os.path.dirname(os.path.dirname(json.__file__))
for name in ("json", "email", "http", "urllib", "logging", "asyncio"):
    shutil.copytree(os.path.join(library, name), os.path.join(folder, name))
compileall.compile_dir(folder, quiet=1)
for root, _, files in os.walk(folder):
    for file in files:
        open(os.path.join(root, file), "rb").close()
shutil.rmtree(folder)
"""

Made = tuple[list[tuple[int, bytes]], list[dict[str, object]]]


def recorded() -> list[bytes]:
    """The frames that a watched program sent."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            [sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())",
             "watch", "--quiet", "--ledger", directory, "-c", PROGRAM],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                 "BELLJAR_CLERK": "none"},
            check=True,
        )  # fmt: skip
        frames = []
        for record in read(directory):
            at = 0
            while record.kind == EVENTS and at < len(record.payload):
                length = HEADER.unpack_from(record.payload, at)[1]
                if record.payload[at + 4] == 2:
                    frames.append(record.payload[at : at + length])
                at += length
        return frames


def made(frames: list[bytes], events: int, size: int) -> Made:
    """Batches of about `size` bytes with `events` events in all, and the events as dictionaries."""
    batches, lines = [], []
    batch, count, now = bytearray(), 0, time.time_ns()
    for number in range(events):
        frame = bytearray(frames[number % len(frames)])
        now += 7_000 + number * 7919 % 50_000
        struct.pack_into("<QQ", frame, 16, number + 1, now)
        _magic, _length, _kind, _flags, _version, pid, thread, seq, when = HEADER.unpack_from(frame)
        name, args, *more = msgspec.msgpack.decode(bytes(frame[HEADER.size :]))
        line = {"time": when, "run": RUN.hex(), "pid": pid, "thread": thread, "seq": seq}
        line |= {"event": name, "args": args}
        if any(more):
            line["more"] = more
        lines.append(line)
        batch += frame
        count += 1
        if len(batch) >= size:
            batches.append((count, bytes(batch)))
            batch, count = bytearray(), 0
    if count:
        batches.append((count, bytes(batch)))
    return batches, lines


def rate(events: int, work: Callable[[], None]) -> float:
    """Events for each second of processor time."""
    start = time.process_time()
    work()
    return events / (time.process_time() - start)


def ingest(directory: str, batches: list[tuple[int, bytes]], rounds: int, sync: str) -> float:
    events = sum(count for count, _ in batches) * rounds

    def work() -> None:
        with Writer(directory, sync=sync, clerk=False) as writer:
            for _ in range(rounds):
                for count, data in batches:
                    writer.append([(EVENTS, count, data)], RUN)

    return rate(events, work)


def baseline(path: str, lines: list[dict[str, object]]) -> float:
    logger = logging.Logger("audit")
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    dumps = json.JSONEncoder(separators=(",", ":"), default=str).encode

    def work() -> None:
        for line in lines:
            logger.info(dumps(line))

    found = rate(len(lines), work)
    handler.close()
    return found


def signed(directory: str) -> Callable[[], None]:
    """Everything that `belljar log verify` looks at, tree and signatures included."""
    from belljar.cli.log import main
    from belljar.ledger.proof.whole import examine

    if main(["checkpoint", directory]) != 0:
        raise SystemExit("no checkpoint could be made")
    return lambda: bool(examine(directory)) or None  # type: ignore[return-value]


def total(directory: str) -> int:
    return sum(
        os.path.getsize(os.path.join(where, name))
        for where, _, names in os.walk(directory)
        for name in names
        if name.endswith(".blj")
    )


def measure(options: argparse.Namespace) -> dict[str, float]:
    frames = recorded()
    distinct = min(options.events, DISTINCT)
    batches, lines = made(frames, distinct, options.batch)
    rounds = max(1, options.events // distinct)
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "lines")
            ledger = os.path.join(directory, "ledger")
            some = lines[:BASELINE]
            logged = baseline(path, some)
            line = os.path.getsize(path) / len(some)
            written = ingest(ledger, batches, rounds, options.sync)
            events = verify(ledger).entries
            checked = rate(events, lambda where=ledger: verify(where) and None)  # type: ignore[misc]
            stored = total(ledger) / events
            row = {
                "baseline events/s": logged, "ingest events/s": written,
                "ingest ratio": written / logged, "verify events/s": checked,
                "bytes an event": stored, "JSON bytes an event": line, "size ratio": stored / line,
            }  # fmt: skip
            if options.signed:
                row["verify, signatures and tree, events/s"] = rate(events, signed(ledger))
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("events", nargs="?", type=int, default=2_000_000)
    parser.add_argument("--batch", type=int, default=1 << 16)
    parser.add_argument("--sync", choices=("never", "batch", "always"), default="batch")
    parser.add_argument("--signed", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    if options.json:
        print(json.dumps({name: round(value, 4) for name, value in found.items()}))
        return 0
    targets = {
        "ingest events/s": "500,000", "ingest ratio": "5", "verify events/s": "1,000,000",
        "size ratio": "0.333 or less",
    }  # fmt: skip
    for name, value in found.items():
        shown = f"{value:,.0f}" if value > 1000 else f"{value:.3f}"
        target = f"  (target {targets[name]})" if name in targets else ""
        print(f"{name:40} {shown:>14}{target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
