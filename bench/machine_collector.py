"""Events a second through `belljar log collect`: senders, each a process, with large batches.

`python bench/machine_collector.py [SENDERS [BATCHES [EVENTS]]]`. Senders deflate, the collector
hashes and writes; its own processor time says what a core of it could take.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
import tempfile
import time

import msgspec

from belljar.ledger import END, EVENTS, START, Writer
from belljar.ledger.collect.collector import Collector
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.collect.shares import Limits
from belljar.ledger.reader import verify


def batch(events: int, first: int) -> bytes:
    """Events as a program makes them: a few kinds, paths that repeat, numbers that do not."""
    frames = []
    for index in range(first, first + events):
        path = f"/usr/lib/python3/dist-packages/package{index % 97}/module{index % 1009}.py"
        kind = ("open", "import", "os.listdir", "compile")[index % 4]
        data = msgspec.msgpack.encode(
            [kind, [path, "r", 524288], [path, index % 500, "load"], None]
        )
        head = struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(data), 2, 0, 1, os.getpid(), 5, index,
                           10**18 + index * 7919)  # fmt: skip
        frames.append(head + data)
    return b"".join(frames)


def fork(work: object, *words: object) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(*words)  # type: ignore[operator]
            status = 0
        finally:
            os._exit(status)
    return child


def send(path: str, ready: int, batches: int, events: int) -> None:
    data = batch(events, 1)
    run = os.urandom(16)
    with RemoteWriter(path) as writer:
        writer.append([(START, 1, b"\x80")], run)
        os.read(ready, 1)
        for _ in range(batches):
            writer.append([(EVENTS, events, data)], run)
        writer.append([(END, 1, b"\x80")], run)


def main(senders: int = 2, batches: int = 100, events: int = 10_000) -> None:
    home = tempfile.mkdtemp(prefix="belljar-bench-")
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(home + "/s")
        listener.listen()
        writer = Writer(home + "/ledger", clerk=False)
        limits = Limits(rate=1 << 40)
        collector = fork(Collector(listener, writer, limits).run)
        ready, go = os.pipe()
        children = [fork(send, home + "/s", ready, batches, events) for _ in range(senders)]
        time.sleep(1)
        began = time.monotonic()
        os.write(go, bytes(senders))
        failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
        seconds = time.monotonic() - began
        with open(f"/proc/{collector}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        busy = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        os.kill(collector, 9)
        os.waitpid(collector, 0)
        total = senders * batches * events
        report = verify(home + "/ledger")
        assert not failed
        assert report.entries == total + 3 * senders, report
        size = len(batch(events, 1)) * senders * batches
        print(
            f"{senders} senders, batches of {events} events ({size // senders // batches} bytes): "
            f"{total} events in {seconds:.2f} s, {total / seconds:,.0f} events/s, "
            f"{total / busy:,.0f} a second of the collector's processor time"
        )
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
