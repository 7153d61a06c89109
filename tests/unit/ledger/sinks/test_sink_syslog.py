"""RFC 5424: what is sent is parsed by its grammar, whatever the guest said."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from belljar.ledger import START, Writer
from belljar.ledger.sinks.syslog_message import message, timestamp
from belljar.ledger.sinks.text import cut, plain_of, safe

from .conftest import (
    DECISIONS,
    EVENTS,
    HOSTILE,
    RUN,
    Feeding,
    frame,
    hostile,
    items,
    packed,
    target,
)
from .parsers import octet_counted, rfc5424, unescaped


def parsed(directory: str, size: int = 8192) -> dict[str, dict[str, Any]]:
    messages = [message(item, "host", 13, size) for item in items(directory)]
    assert max(map(len, messages)) <= size
    return {m["fields"]["entry"]: m for m in map(rfc5424, messages)}


def test_an_event_is_one_message_with_its_parts_in_their_places(directory: str) -> None:
    with Writer(directory) as writer:
        writer.append(
            [(EVENTS, 1, frame("open", "/etc/passwd", "r", 0))], RUN, 1_700_000_000 * 10**9
        )
    found = parsed(directory)["1"]
    assert (found["facility"], found["severity"]) == (13, 6)
    assert found["time"] == "2023-11-14T22:13:20.000000Z"
    assert (found["app"], found["procid"], found["msgid"]) == ("belljar", "77", "open")
    assert found["fields"]["right"] == "read"
    assert found["fields"]["target"] == "/etc/passwd"
    assert found["fields"]["ledger"] == "ab" * 8
    assert found["message"] == "open: read /etc/passwd"


@pytest.mark.parametrize("size", [480, 2048, 8192, 1 << 20])
def test_hostile_text_is_one_message_and_its_value_comes_back(directory: str, size: int) -> None:
    with Writer(directory) as writer:
        numbers = hostile(writer)
    found = parsed(directory, size)
    assert len(found) == len(HOSTILE)
    for name, number in numbers.items():
        fields = found[str(number)]["fields"]
        value = unescaped(fields.get("target", ""))
        told = dict(word.split(":") for word in fields.get("cut", "").split(",") if word)
        if "target" in told:
            assert target(name).startswith(value)
            assert int(told["target"]) > len(value)
        else:
            assert value == target(name), name
    if size == 8192:
        assert "target" in found[str(numbers["megabyte"])]["fields"]["cut"]
        assert not any("cut" in m["fields"] for n, m in found.items()
                       if n != str(numbers["megabyte"]))  # fmt: skip


def test_the_safe_form_is_reversible_and_cutting_it_never_splits_anything() -> None:
    for text in HOSTILE.values():
        form = safe(text)
        assert plain_of(form) == text == unescaped(form)
        assert form.isprintable() or "\U000e0041" not in form
        data = form.encode("utf-8")
        for size in range(min(len(data), 400)):
            piece = cut(data, size)
            assert len(piece) <= size
            assert text.startswith(plain_of(piece.decode("utf-8")))


def test_no_message_is_longer_than_it_may_be_whatever_is_long(directory: str) -> None:
    names = "verdict right target asked event rule id then package"
    long = dict.fromkeys(names.split(), "\x1b" * 5000)
    with Writer(directory) as writer:
        writer.append([(DECISIONS, 1, packed([{**long, "at": ["f" * 9000, 1, "g" * 9000]}]))], RUN)
    one = items(directory)[0]
    for host in ("h", "h" * 255):
        for size in range(480, 2000, 97):
            whole = message(one, host, 13, size)
            assert len(whole) <= size
            fields = rfc5424(whole)["fields"]
            assert fields["entry"] == "1"
            assert fields["cut"]


def test_a_name_of_an_event_that_is_no_ascii_is_told_in_the_fields(directory: str) -> None:
    name = "päck age." + "x" * 60
    with Writer(directory) as writer:
        writer.append([(EVENTS, 1, frame(name))], RUN)
    found = parsed(directory)["1"]
    assert found["msgid"] == "p?ck?age." + "x" * 23
    assert found["fields"]["event"] == name


def test_times_far_away_are_still_times() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp(2**64 - 1) == "2554-07-21T23:34:33.709551Z"


def test_the_head_of_local_sockets_is_as_their_readers_know_it_and_the_rest_the_same(
    directory: str,
) -> None:
    with Writer(directory) as writer:
        writer.append([(EVENTS, 1, frame("open", "/a", "r", 0))], RUN, 1_699_000_000 * 10**9)
        hostile(writer)
    for item in items(directory):
        new = message(item, "host", 13, 8192)
        old = message(item, "host", 13, 8192, bsd=True)
        head = re.match(
            rb"<(\d+)>(Oct|Nov|[A-Z][a-z]{2}) [ \d]\d \d\d:\d\d:\d\d belljar(\[77\])?: \[", old
        )
        assert head
        assert head[1] == new[1 : new.index(b">")]
        assert b"\n" not in old
        if item.name == "open":
            assert head[2] in (b"Nov", b"Oct")
            assert old.partition(b": ")[2] == new.partition(b" open ")[2].replace(
                b"\xef\xbb\xbf", b""
            )
    for size in range(480, 1000, 40):
        assert all(len(message(i, "h", 13, size, bsd=True)) <= size for i in items(directory))


class Receiver:
    """A TCP receiver that can be told to misbehave."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.data: list[bytes] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                there, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._read, args=(there, self.connections), daemon=True).start()

    def _read(self, there: socket.socket, number: int) -> None:
        whole = b""
        with there:
            while chunk := there.recv(1 << 16):
                whole += chunk
                if number == 1 and len(whole) > 20_000:
                    return  # with bytes that nobody read: the first connection breaks
        self.data.append(whole)


def test_a_connection_that_breaks_costs_no_entry(
    directory: str, feeding: Callable[..., Feeding]
) -> None:
    receiver = Receiver()
    with Writer(directory) as writer:
        for number in range(400):
            writer.append([(EVENTS, 1, frame("open", f"/f/{number}", "r", 0))], RUN)
    feed = feeding(f"syslog+tcp://127.0.0.1:{receiver.port}")
    feed.wait(20)
    feed.end()
    assert receiver.connections > 1
    receiver.server.shutdown(socket.SHUT_RDWR)
    receiver.server.close()
    from .conftest import eventually

    eventually(lambda: receiver.data)
    got = [rfc5424(m)["fields"]["entry"] for data in receiver.data for m in octet_counted(data)]
    assert set(got) == {str(n) for n in range(1, 401)}


def test_a_port_nobody_listens_on_is_waited_for_over_udp(
    directory: str, feeding: Callable[..., Feeding]
) -> None:
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["a"]}))], RUN)
        feed = feeding(f"syslog+udp://127.0.0.1:{port}")
        from .conftest import eventually

        eventually(lambda: feed.feed.where.state == "waiting")
        assert "refused" in feed.feed.where.why
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.bind(("127.0.0.1", port))
        probe.settimeout(10)
        assert rfc5424(probe.recv(65536))["fields"]["kind"] == "start"
        feed.wait()
    assert feed.feed.where.lost == 0
    probe.close()
