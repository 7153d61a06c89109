"""Collectors and senders for tests, each a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from tests.unit.ledger.conftest import packed

from belljar.errors import LedgerError
from belljar.ledger import START, Writer
from belljar.ledger.collect.collector import Collector
from belljar.ledger.collect.shares import Limits
from belljar.ledger.collect.wire import append, parse_said
from belljar.ledger.format import SENDER
from belljar.ledger.reader import read

LONG = bool(os.environ.get("BELLJAR_LONG"))


class Machine:
    """A directory that every user may enter, a socket in it, and a ledger nobody else may read.

    The socket is held here, as systemd holds it: it outlives the collector.
    """

    def __init__(self) -> None:
        self.home = tempfile.mkdtemp(prefix="belljar-collect-")
        os.chmod(self.home, 0o755)
        self.path = self.home + "/collect.sock"
        self.directory = self.home + "/ledger"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(512)
        self.pid = 0
        self.children: list[int] = []

    def start(
        self,
        limits: Limits | None = None,
        before: Callable[[], None] = lambda: None,
        book: int = 64 << 20,
        sync: str = "batch",
        **more: Any,
    ) -> int:
        """A collector, in a process of its own; its pid."""

        def work() -> None:
            before()
            writer = Writer(self.directory, sync=sync, clerk=False, book=book)
            collector = Collector(self.listener.dup(), writer, limits, **more)
            signal.signal(signal.SIGTERM, lambda *_: collector.stop())
            collector.run()

        self.pid = self.fork(work)
        return self.pid

    def fork(self, work: Callable[[], None]) -> int:
        """`work` in a child that ends with 0, with 1 for `LedgerError` and 2 for all else."""
        child = os.fork()
        if child:
            self.children.append(child)
            return child
        status = 2
        try:
            signal.alarm(110)  # whatever becomes of the test, this process ends
            work()
            status = 0
        except LedgerError as error:
            os.write(2, f"{error}\n".encode())
            status = 1
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)

    def wait(self, child: int) -> int:
        """The exit status of `child`; negative: the signal that ended it."""
        self.children.remove(child)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def kill(self, child: int, number: int = signal.SIGKILL) -> int:
        os.kill(child, number)
        return self.wait(child)

    def stop(self) -> None:
        """End the collector in order, as soon as it is at work."""
        Raw(self.path).sock.close()
        assert self.kill(self.pid, signal.SIGTERM) == 0

    def senders(self) -> list[dict[str, Any]]:
        """What the SENDER records say, each with its `run`."""
        found = [r for r in read(self.directory) if r.kind == SENDER]
        return [{"run": r.run, **msgspec.msgpack.decode(r.payload)} for r in found]

    def close(self) -> None:
        for child in list(self.children):
            os.kill(child, signal.SIGKILL)
            self.wait(child)
        self.listener.close()
        shutil.rmtree(self.home)


@contextmanager
def machine(**options: Any) -> Iterator[Machine]:
    """A machine with a collector at work."""
    made = Machine()
    try:
        made.start(**options)
        yield made
    finally:
        made.close()


class Raw:
    """A sender that says whatever it is told to."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)  # blocking: it waits where the queue is full
        self.sock.settimeout(20)
        self._rest = b""
        kind, _number, values, reason = self.hear()
        self.greeted = (kind, reason)
        self.connection = values[0] if values else 0

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.sock.close()

    def hear(self) -> tuple[int, int, tuple[int, ...], str]:
        """The next thing said; kind 0 where the connection is closed."""
        while (said := parse_said(self._rest)) is None:
            try:
                more = self.sock.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                return 0, 0, (), ""
            self._rest += more
        self._rest = self._rest[said[4] :]
        return said[:4]

    def say(self, data: bytes) -> tuple[int, int, tuple[int, ...], str]:
        """Send `data` and hear the answer."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)
        return self.hear()


def message(number: int, run: bytes, *items: tuple[int, int, bytes]) -> bytes:
    """An APPEND in one piece."""
    return b"".join(append(number, run, [(kind, count, 0, data) for kind, count, data in items]))


def begin(number: int, run: bytes) -> bytes:
    return message(number, run, (START, 1, packed({"argv": ["x"]})))


def numbered(index: int, filler: int = 0) -> bytes:
    """A frame that is unlike every other of its sender's."""
    size = 32 + 8 + filler
    head = struct.pack("<HHBBHIIQQ", 0x4A42, size, 2, 0, 1, os.getpid(), 5, index, 1)
    return head + struct.pack("<Q", index) + bytes(filler)


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
