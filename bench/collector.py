"""How many events a second the collector takes from the channel into the ledger, and whether its
memory stays flat.

Several processes write prepared frames into the FIFO as recorders do, a page of them in each
write; the collector drains and appends as `belljar watch` does. The rate is events for each second
of the collector's own processor time, so that it holds for one core however many the writers have;
beside it the rate by the clock. The ledger is begun anew every 256 MiB: the disk holds millions of
events, not billions.

    bench/collector.py [EVENTS] [--writers N] [--single] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import select
import struct
import sys
import tempfile
import time
from collections.abc import Iterator

from belljar.ledger import EVENTS, Writer
from belljar.watch.collect import Collector

HEADER = struct.Struct("<HHBBHIIQQ")
LAP = 100_000  # events between a greeting and a farewell
WARM = 500_000  # events before memory is measured for the first time
ANEW = 256 << 20


def _text(value: str) -> bytes:
    data = value.encode()
    head = bytes((0xA0 | len(data),)) if len(data) < 32 else bytes((0xD9, len(data)))
    return head + data


def _body(k: int) -> bytes:
    """An `open` as the recorder tells it, every fourth an `import`."""
    place = b"\x93" + _text("/home/user/project/package/module.py") + b"\x2a" + _text("load")
    if k % 4 == 0:
        file = _text(f"/home/user/project/package/part{k % 89}.py")
        return (
            b"\x94"
            + _text("import")
            + b"\x95"
            + _text("package.part")
            + file
            + b"\xc0" * 3
            + (place + b"\xc0")
        )
    name = _text(f"/home/user/project/data/file{k % 97}.txt")
    return (
        b"\x94"
        + _text("open")
        + b"\x93"
        + name
        + _text("r")
        + b"\xce\x00\x08\x00\x00"
        + (place + b"\xc0")
    )


def _frame(kind: int, seq: int, body: bytes) -> bytes:
    pid = os.getpid()
    return HEADER.pack(0x4A42, 32 + len(body), kind, 0, 2, pid, pid, seq, time.time_ns()) + body


def _lap(single: bool) -> list[bytes]:
    """One process's life in writes of at most a page."""
    hello = b"\x95" + _text("3.11.2") + b"\x01\x90" + _text("/home/user") + b"\x00"
    frames = [_frame(1, 0, hello)]
    frames += [_frame(2, seq, _body(seq)) for seq in range(1, LAP + 1)]
    frames.append(_frame(3, LAP, b"\x91\x00"))
    writes: list[bytes] = []
    block = b""
    for frame in frames:
        if block and (single or len(block) + len(frame) > 4096):
            writes.append(block)
            block = b""
        block += frame
    return [*writes, block]


def _write(path: str, laps: int, single: bool) -> None:
    writes = _lap(single)
    descriptor = os.open(path, os.O_WRONLY)
    for _ in range(laps):
        for block in writes:
            os.write(descriptor, block)
    os.close(descriptor)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _Ledger:
    """A ledger that is thrown away when it is large."""

    def __init__(self, folder: str) -> None:
        self._folder, self._run, self._size = folder, os.urandom(16), 0
        self._writer = Writer(folder)

    def append(self, items: list[tuple[int, int, bytes]]) -> None:
        self._writer.append(items, self._run)
        self._size += sum(len(data) for _, _, data in items)
        if self._size > ANEW:
            self._writer.close()
            os.unlink(self._writer.path)
            self._writer = Writer(self._folder)
            self._size = 0

    def close(self) -> None:
        self._writer.close()


def _collect(collector: Collector, ledger: _Ledger, total: int) -> Iterator[int]:
    """Everything, until `total` events have come; yields their count after every drain."""
    poll = select.poll()
    poll.register(collector.fileno(), select.POLLIN)
    while collector.events < total:
        chunks = collector.drain()
        if not chunks:
            poll.poll(1000)
            continue
        ledger.append([(EVENTS, chunk.count, chunk.data) for chunk in chunks])
        yield collector.events


def measure(events: int, writers: int, single: bool) -> dict[str, float]:
    """Rates (events a second), resident bytes after the warm-up and what came on top of them."""
    laps = max(1, events // LAP // writers)
    total = laps * LAP * writers
    with tempfile.TemporaryDirectory() as folder, Collector() as collector:
        children = []
        for _ in range(writers):
            child = os.fork()
            if not child:
                try:
                    _write(collector.path, laps, single)
                finally:
                    os._exit(0)
            children.append(child)
        ledger = _Ledger(folder)
        begun: tuple[float, float, int] | None = None
        first = most = 0
        for count in _collect(collector, ledger, total):
            if begun is None:  # the writers have made their frames
                begun = time.perf_counter(), time.process_time(), count
            most = max(most, _resident())
            if count <= min(WARM, total // 2) or not first:
                first = most
        assert begun is not None
        clock, used = time.perf_counter() - begun[0], time.process_time() - begun[1]
        ledger.close()
        for child in children:
            os.waitpid(child, 0)
        collector.drain(idle=True)
        flaws = collector.finish()
        if flaws or collector.events != total:
            raise SystemExit(f"{collector.events} of {total} events came: {[*map(str, flaws)]}")
        count = total - begun[2]
    return {
        "events": total,
        "writers": writers,
        "per_core": count / used,
        "by_clock": count / clock,
        "resident": first,
        "growth": most - first,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The collector's throughput and memory.")
    parser.add_argument("events", nargs="?", type=int, default=3_000_000)
    parser.add_argument("--writers", type=int, default=3)
    parser.add_argument("--single", action="store_true", help="one frame a write")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.events, options.writers, options.single)
    if options.json:
        json.dump(found, sys.stdout)
        sys.stdout.write("\n")
        return
    print(f"{found['events']:,.0f} events from {found['writers']:.0f} processes")
    print(f"{found['per_core']:,.0f} events/s of one core, {found['by_clock']:,.0f} by the clock")
    print(f"{found['resident'] / 1e6:.1f} MB resident, {found['growth'] / 1e6:+.1f} MB since")


if __name__ == "__main__":
    main()
