"""OTLP: the official protobuf messages behind a small HTTP server, and what they hold."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belljar.ledger import Writer

from .conftest import (  # fmt: skip
    END,
    EVENTS,
    HOSTILE,
    RUN,
    START,
    Feeding,
    eventually,
    frame,
    hostile,
    packed,
    target,
)

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install belljar[otel]")
from .receivers import Otlp as Receiver
from .receivers import attributes, points

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def by_number(receiver: Receiver) -> dict[int, Any]:
    return {attributes(r)["belljar.entry"]: r for _, r in receiver.logs}


def test_hostile_text_is_one_record_each_with_the_value_unchanged(
    directory: str, feeding: Callable[..., Feeding], receiver: Receiver
) -> None:
    with Writer(directory) as writer:
        numbers = hostile(writer)
    feeding(f"{receiver.place}?metrics=off").wait(20)
    assert len(receiver.logs) == len(HOSTILE)
    found = by_number(receiver)
    for name, number in numbers.items():
        record = found[number]
        own = attributes(record)
        assert own["belljar.target"] == target(name)[: 1 << 18]
        assert own.get("belljar.cut", "") == ("target:1048576" if name == "megabyte" else "")
        assert (record.severity_number, record.severity_text) == (13, "warning")
        assert record.event_name == "decision"


def test_a_record_has_name_times_severity_and_the_span_of_its_thread(
    directory: str, feeding: Callable[..., Feeding], receiver: Receiver
) -> None:
    now = 1_700_000_000 * 10**9
    frames = [
        frame("open", "/before", "r", 0),
        frame("otel.context", TRACE, SPAN, seq=2),
        frame("socket.connect", None, ("10.0.0.1", 80), seq=3),
        frame("open", "/elsewhere", "r", 0, pid=78),
        frame("otel.context", "", "", seq=4),
        frame("open", "/after", "r", 0, seq=5),
        frame("otel.context", "not hexadecimal" + TRACE[15:], SPAN, seq=6),
        frame("open", "/lied", "r", 0, seq=7),
    ]
    with Writer(directory) as writer:
        writer.append([(EVENTS, len(frames), b"".join(frames))], RUN, now)
    feeding(f"{receiver.place}?metrics=off").wait(20)
    found = by_number(receiver)
    spans = {number: (r.trace_id.hex(), r.span_id.hex()) for number, r in found.items()}
    assert spans == {n: (TRACE, SPAN) if n in (2, 3) else ("", "") for n in range(1, 9)}
    connect = found[3]
    assert connect.event_name == "socket.connect"
    assert (connect.time_unix_nano, connect.observed_time_unix_nano) == (10**18, now)
    assert (connect.severity_number, connect.severity_text) == (10, "notice")
    assert connect.body.string_value == "socket.connect: connect 10.0.0.1:80"
    own = attributes(connect)
    assert (own["process.pid"], own["thread.id"], own["belljar.seq"]) == (77, 5, 3)
    assert own["belljar.right"] == "connect"
    resource = {a.key: a.value.string_value for a in receiver.logs[0][0].attributes}
    assert resource["service.name"] == "belljar"


def test_the_span_is_still_known_after_a_restart(
    directory: str, feeding: Callable[..., Feeding], receiver: Receiver
) -> None:
    with Writer(directory) as writer:
        writer.append([(EVENTS, 1, frame("otel.context", TRACE, SPAN))], RUN)
        first = feeding(f"{receiver.place}?metrics=off")
        first.wait()
        first.end()
        writer.append([(EVENTS, 1, frame("open", "/x", "r", 0, seq=2))], RUN)
        feeding(f"{receiver.place}?metrics=off").wait()
    assert by_number(receiver)[2].trace_id.hex() == TRACE


def test_what_the_receiver_never_takes_is_lost_and_counted_and_the_rest_arrives(
    directory: str, feeding: Callable[..., Feeding], receiver: Receiver
) -> None:
    def refuse(records: list[Any]) -> int:
        return 400 if any(attributes(r)["belljar.entry"] == 3 for r in records) else 200

    receiver.refuse = refuse
    with Writer(directory) as writer:
        frames = b"".join(frame("open", f"/{n}", "r", 0, seq=n) for n in range(1, 9))
        writer.append([(EVENTS, 8, frames)], RUN)
    feed = feeding(f"{receiver.place}?metrics=off")
    feed.wait(20)
    assert sorted(by_number(receiver)) == [1, 2, 4, 5, 6, 7, 8]
    assert (feed.feed.where.sent, feed.feed.where.lost) == (7, 1)


def test_what_the_receiver_says_it_rejected_counts_as_lost(
    directory: str, feeding: Callable[..., Feeding], receiver: Receiver
) -> None:
    receiver.partial = 1
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["a"]})), (END, 1, packed({"status": 0}))], RUN)
    feed = feeding(f"{receiver.place}?metrics=off")
    feed.wait(20)
    assert (feed.feed.where.sent, feed.feed.where.lost) == (1, 1)


def test_metrics_count_every_entry_once_and_go_on_after_a_restart(
    directory: str, feeding: Callable[..., Feeding], receiver: Receiver
) -> None:
    frames = frame("open", "/a", "r", 0) + frame("open", "/b", "r", 0, seq=2)
    row = {"kind": "denial", "verdict": "deny", "right": "read", "target": "/a"}
    end = {"status": 0, "drops": 3}
    entries = [
        (START, 1, packed({"argv": ["a"]})), (EVENTS, 2, frames), (4, 1, packed(end)),
        (3, 1, packed([row])),
    ]  # fmt: skip
    for turn in (1, 2):
        with Writer(directory) as writer:
            writer.append(entries, RUN)
        feed = feeding(f"{receiver.place}?severity=error")
        feed.wait(20)
        feed.end()  # reports a last time
        found = points(receiver.metrics[-1])
        assert found["belljar.events", "read"] == 2 * turn
        assert found["belljar.denials", ""] == turn
        assert found["belljar.drops", ""] == 3 * turn
        assert found["belljar.runs", ""] == turn
        assert found["belljar.sink.lost", ""] == 0
        assert found["belljar.sink.lag", ""] == 0


def test_headers_come_from_a_file_that_only_its_owner_can_read(
    directory: str, feeding: Callable[..., Feeding], receiver: Receiver, tmp_path: Path
) -> None:
    secret = tmp_path / "headers"
    secret.write_text("Authorization: Bearer 123\n")
    secret.chmod(0o644)
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
    feed = feeding(f"{receiver.place}?metrics=off&headers={secret}")
    eventually(lambda: "chmod 600" in feed.feed.where.why)
    assert not receiver.logs
    secret.chmod(0o600)
    eventually(lambda: receiver.logs)
    assert receiver.headers[0]["authorization"] == "Bearer 123"


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
MOVED = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"


def serve(server: socket.socket, head: bytes, chunk: bytes, pause: float) -> None:
    """Answer the first connection with `head`, then `chunk` again and again until it is over."""
    there, _ = server.accept()
    with there, contextlib.suppress(OSError):
        there.recv(1 << 16)
        there.sendall(head)
        for _ in range(3000 if chunk else 0):
            there.sendall(chunk)
            time.sleep(pause)


@pytest.mark.parametrize(("chunk", "pause"), [(b"x" * 100_000, 0.0), (b"x", 0.01)])
def test_an_answer_without_end_takes_neither_memory_nor_time(
    directory: str, feeding: Callable[..., Feeding], monkeypatch: pytest.MonkeyPatch,
    chunk: bytes, pause: float,
) -> None:  # fmt: skip
    from belljar.ledger.sinks import answers

    monkeypatch.setattr(answers, "_PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, Writer(directory) as writer:
        thread = threading.Thread(target=serve, args=(server, HEAD, chunk, pause))
        thread.start()
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
        feed = feeding(f"otlp+http://127.0.0.1:{server.getsockname()[1]}?metrics=off")
        feed.wait(5)
        assert feed.feed.where.sent == 1
        transport: Any = feed.feed._transport
        assert len(transport._session.answer) <= 1 << 16
        thread.join(10)
        assert not thread.is_alive()


def test_a_receiver_that_sends_us_elsewhere_is_not_followed(
    directory: str, feeding: Callable[..., Feeding]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Writer(directory) as writer:
        thread = threading.Thread(target=serve, args=(server, MOVED, b"", 0))
        thread.start()
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
        feed = feeding(f"otlp+http://127.0.0.1:{server.getsockname()[1]}?metrics=off")
        thread.join(10)
        server.close()
        eventually(lambda: feed.feed.where.state == "waiting")
    assert (feed.feed.where.next, feed.feed.where.lost) == (1, 0)
