"""The HTTP server of a witness: little HTTP/1.1, strict, with limits on everything.

The wait for a request, the request and its answer take `SECONDS` together, and there are `MOST`
connections at once; more are closed without a word.
"""

from __future__ import annotations

import asyncio
import signal
import string
from contextlib import suppress
from http import HTTPStatus

from belljar.errors import LedgerError
from belljar.ledger.witness.protocol import MAX_REQUEST, SECONDS, answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable
    from typing import Final

    from belljar.ledger.witness.cosign import Witness

    Answer = tuple[int, str, bytes]

MOST: Final = 64
MAX_HEAD: Final = 1 << 13
_LAST_SECONDS: Final = 1.0
_OVER: Final = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError)
_PLAIN: Final = "text/plain; charset=utf-8"


class _Bad(Exception):
    """A request that is answered with `status`, and the connection closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def serve(
    witness: Witness,
    host: str,
    port: int,
    ready: Callable[[str, int], None],
    told: Callable[[int, str], None],
    seconds: float = SECONDS,
) -> None:
    """Serve until SIGTERM, or until the process is interrupted.

    Raises `LedgerError` when it cannot listen.
    `ready` gets the address, `told` the status and text of every answer that is not 200.
    """
    asyncio.run(_Server(witness, told, seconds).run(host, port, ready))


class _Server:
    def __init__(self, witness: Witness, told: Callable[[int, str], None], seconds: float) -> None:
        self._witness = witness
        self._told = told
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, host: str, port: int, ready: Callable[[str, int], None]) -> None:
        try:
            server = await asyncio.start_server(self._connection, host, port, limit=MAX_HEAD)
        except OSError as error:
            raise LedgerError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        stop = asyncio.Event()
        with suppress(ValueError, RuntimeError):  # only the main thread hears signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        try:
            ready(*server.sockets[0].getsockname()[:2])
            await stop.wait()
        finally:
            server.close()
        # Who is being answered gets the answer; asyncio.run ends those that only wait.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)

    async def _connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        if len(self._tasks) >= MOST:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # The other side went away or is too slow, or the server ends: nobody is left to tell.
            with suppress(*_OVER):
                keep = True
                while keep:
                    async with asyncio.timeout(self._seconds):
                        keep = await self._one(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """One request and its answer; whether the connection goes on."""
        keep = False
        try:
            method, path, body, keep = await _request(reader)
            status, kind, text = await asyncio.to_thread(self._answer, method, path, body)
            cause = text.decode("utf-8", "replace").strip()
        except _Bad as bad:
            status, kind, cause = bad.status, _PLAIN, HTTPStatus(bad.status).phrase
            text = f"{cause}\n".encode()
        except LedgerError as error:
            status, kind, cause = 500, _PLAIN, str(error)
            text = b"this witness cannot use its state\n"
        if status != 200:
            self._told(status, cause)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(text)}\r\nCache-Control: no-store\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        writer.write(head.encode("ascii") + text)
        await writer.drain()
        return keep

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        parts = path.split("/")
        if parts[-1] == "add-checkpoint":
            if method != "POST":
                return 405, _PLAIN, b"POST only\n"
            return answer(self._witness, body)
        if len(parts) >= 2 and parts[-1] == "checkpoint" and _is_hash(parts[-2]):
            if method != "GET":
                return 405, _PLAIN, b"GET only\n"
            note = self._witness.note(parts[-2])
            if note is not None:
                return 200, _PLAIN, note
        return 404, _PLAIN, b"not found\n"


async def _request(reader: StreamReader) -> tuple[str, str, bytes, bool]:
    """Method, path, body, and whether the client wants the connection kept."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    except asyncio.LimitOverrunError as error:
        raise _Bad(431) from error
    except UnicodeDecodeError as error:
        raise _Bad(400) from error
    first, *lines = head[:-4].split("\r\n")
    if any(letter < " " and letter != "\t" for line in (first, *lines) for letter in line):
        raise _Bad(400)  # what is one line here may be two to a proxy
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or words[1][:1] != "/":
        raise _Bad(400)
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name.strip() != name or name.lower() in fields:
            raise _Bad(400)
        fields[name.lower()] = value.strip()
    if "transfer-encoding" in fields or fields.get("expect", "100-continue") != "100-continue":
        raise _Bad(501)
    length = fields.get("content-length", "0" if words[0] == "GET" else "")
    if not length:
        raise _Bad(411)
    if not length.isascii() or not length.isdigit() or len(length) > 10:
        raise _Bad(400)
    if int(length) > MAX_REQUEST:
        raise _Bad(413)
    body = await reader.readexactly(int(length))
    keep = words[2] == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
    return words[0], words[1], body, keep


def _is_hash(text: str) -> bool:
    return len(text) == 64 and set(text) <= set(string.hexdigits.lower())
