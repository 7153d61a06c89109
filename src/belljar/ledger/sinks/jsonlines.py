"""JSON lines to a file or a descriptor: each entry as `belljar log show --json` has it, and its
severity. Pure ASCII; nothing of what could be decoded is cut. A line is complete when its newline
is there."""

from __future__ import annotations

import json
import os
import select
import stat
import time

from belljar.ledger.sinks import walk
from belljar.ledger.sinks.transport import Down, Gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.fields import Item

_PATIENCE: Final = 10.0  # seconds that a full pipe may take nothing
_SLICE: Final = 100  # milliseconds between looks at whether to stop
#: Of bytes that are no entry, only the beginning: a record may name the same ones often.
_MOST_BROKEN: Final = 1 << 16


class JsonLines:
    """Appends lines to the file or descriptor of `sink`; a file that was moved away (as log
    rotation does) is made anew."""

    overlap = 0.0

    def __init__(self, sink: Sink) -> None:
        self._path, self._fd = sink.path, sink.descriptor
        self._own = sink.descriptor < 0
        self._torn = False
        self.stopped: Callable[[], bool] = bool

    def send(self, items: Sequence[Item]) -> int:
        """Write `items`, whole lines. Raises `Down`, or `Gone` when a descriptor has no reader."""
        try:
            self._ready()
            self._put(b"".join(map(line, items)))
        except BrokenPipeError:
            if not self._own:
                raise Gone("its reader is gone") from None
            self.close()
            raise Down(f"{self._path}: its reader is gone") from None
        except OSError as error:
            self.close()
            raise Down(f"{self._path}: {error.strerror}") from error
        return 0

    def idle(self) -> None:
        """Find out now whether the file can be written to. Raises `Down`."""
        self.send([])

    def settle(self) -> None:
        """Have the disk have the lines before it has the position. Raises `Down`."""
        try:
            if self._fd >= 0 and stat.S_ISREG(os.fstat(self._fd).st_mode):
                os.fdatasync(self._fd)
        except OSError as error:
            raise Down(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file."""
        if self._own and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _ready(self) -> None:
        if not self._own:
            return
        if self._fd >= 0 and not walk.same(self._path, self._fd):
            self.close()
        if self._fd < 0:
            try:
                self._fd = walk.append_to(self._path)
            except OSError as error:
                if error.errno != 6:  # ENXIO: a FIFO that nobody reads
                    raise
                raise OSError(6, "nobody reads this FIFO") from error
            found = os.fstat(self._fd)
            if stat.S_ISREG(found.st_mode) and found.st_size:
                last = os.pread(self._fd, 1, found.st_size - 1)
                if last != b"\n":  # a line that was not finished must not swallow ours
                    os.write(self._fd, b"\n")

    def _put(self, data: bytes) -> None:
        view = memoryview(b"\n" + data if self._torn else data)
        whole = len(view)
        size = os.fstat(self._fd).st_size
        regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        try:
            while view:
                try:
                    view = view[os.write(self._fd, view) :]
                except BlockingIOError:
                    poll = select.poll()
                    poll.register(self._fd, select.POLLOUT)
                    end = time.monotonic() + _PATIENCE
                    while not poll.poll(_SLICE):
                        if time.monotonic() > end or self.stopped():
                            raise OSError(11, "its reader is too slow") from None
        except OSError:
            self._torn = self._torn or len(view) < whole
            mine = regular and self._own and self._torn
            if mine and os.fstat(self._fd).st_size == size + whole - len(view):
                os.ftruncate(self._fd, size)  # nobody else wrote: take the rest back
                self._torn = False
            raise
        self._torn = False


def line(item: Item) -> bytes:
    """One entry as one line of JSON, `severity` (and `trace`, `span`) added."""
    entry = item.entry
    if len(entry.raw) > _MOST_BROKEN:
        entry = entry.replace(raw=entry.raw[:_MOST_BROKEN])
    whole = entry.plain()
    if entry is not item.entry:
        whole["length"] = len(item.entry.raw)
    whole["severity"] = item.severity
    whole["ledger"] = dict(item.fields)["ledger"]
    if item.trace:
        whole |= {"trace": item.trace, "span": item.span}
    text = json.dumps(whole, separators=(",", ":")).replace("\x7f", "\\u007f")
    return text.encode("ascii") + b"\n"
