"""The host's end against a guest that sends whatever it likes."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from belljar.errors import GuestEnded, GuestError, GuestProtocolError
from belljar.sandbox.bridge.peer import Peer
from belljar.sandbox.bridge.wire import BridgeLimits
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import dumps

PATIENCE = 30.0
HEAD = struct.Struct("<IBII")


def frame(kind: int, number: int, parent: int, body: bytes) -> bytes:
    return HEAD.pack(len(body), kind, number, parent) + body


def reply(number: int, value: object = None) -> bytes:
    return frame(ops.REPLY, number, 0, dumps(value))


def asks(number: int, parent: int = 0, op: str = "call", body: object = None) -> bytes:
    return frame(ops.REQUEST, number, parent, bytes([ops.GUEST_ASKS[op]]) + dumps(body))


def notes(value: object = ()) -> bytes:
    return frame(ops.NOTE, 0, 0, bytes([ops.GUEST_NOTES["drop"]]) + dumps(value))


class Guest:
    """The other end: reads frames and sends bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def read(self) -> tuple[int, int, int, bytes]:
        length, kind, number, parent = HEAD.unpack(self.exactly(13))
        return kind, number, parent, self.exactly(length)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


@contextmanager
def against(
    script: Callable[[Guest], None], serve: Any = lambda op, body, request: body, **limits: int
) -> Iterator[Peer]:
    """A host's peer whose guest is `script` in a thread; its socket is closed behind it."""
    ours, theirs = socket.socketpair()
    peer = Peer(ours, serve, BridgeLimits(**limits))

    def run() -> None:
        with theirs:
            try:
                script(Guest(theirs))
            except (EOFError, OSError):
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield peer
    finally:
        peer.close()
        thread.join(PATIENCE)
        ours.close()
        assert not thread.is_alive()


def soon() -> float:
    return time.monotonic() + PATIENCE


def ask(peer: Peer, deadline: float | None = None) -> Any:
    return peer.request("run", "x", deadline or soon())


def refused(
    script: Callable[[Guest], None], match: str = ".", serve: Any = None, **more: int
) -> None:
    """The guest is ended: its end of the socket sees so, and nothing more can be asked."""
    ended = []

    def whole(guest: Guest) -> None:
        try:
            script(guest)
            while guest.sock.recv(1 << 16):
                continue
        except ConnectionError:
            pass
        ended.append(True)

    with against(whole, serve or (lambda op, body, request: body), **more) as peer:
        with pytest.raises(GuestProtocolError, match=match):
            ask(peer)
        with pytest.raises(GuestProtocolError, match=match):
            ask(peer)
        assert type(peer.over) is GuestProtocolError
    assert ended == [True]


def answering(*frames: bytes, stays: bool = True) -> Callable[[Guest], None]:
    """Waits for the host's first request, then sends, and stays until the host is done."""

    def script(guest: Guest) -> None:
        guest.read()
        for one in frames:
            guest.send(one)
        while stays and guest.sock.recv(1 << 16):
            continue

    return script


def test_an_answer_is_an_answer() -> None:
    with against(answering(reply(1, [5]))) as peer:
        assert ask(peer) == [5]


@pytest.mark.parametrize(
    "forged",
    [
        reply(2), reply(0), reply(0xFFFFFFFF), frame(ops.RAISED, 7, 0, dumps(("E", "m", "t"))),
        frame(ops.REPLY, 1, 1, b"N"),  # an answer has no parent
        frame(0, 1, 0, b"N"), frame(5, 1, 0, b"N"), frame(6, 1, 0, b"N"), frame(255, 1, 0, b"N"),
        frame(ops.REPLY, 1, 0, b""), frame(ops.REQUEST, 1, 0, b""), frame(ops.NOTE, 0, 0, b""),
        frame(ops.REPLY, 1, 0, b"NN"), frame(ops.REPLY, 1, 0, b"\xff"),
        frame(ops.REPLY, 1, 0, b"@\x01\0\0\0\0"),
        frame(ops.REQUEST, 1, 0, b"\x01N"),  # the host's operation
        frame(ops.REQUEST, 1, 0, bytes([ops.GUEST_NOTES["drop"]]) + b"N"),  # a note as a request
        frame(ops.REQUEST, 1, 0, b"\xffN"),
        frame(ops.REQUEST, 1, 0, bytes([ops.GUEST_ASKS["call"]])),
        frame(ops.NOTE, 0, 0, bytes([ops.GUEST_ASKS["call"]]) + b"N"),
        frame(ops.NOTE, 1, 0, bytes([ops.GUEST_NOTES["drop"]]) + b"N"),
        frame(ops.NOTE, 0, 1, bytes([ops.GUEST_NOTES["drop"]]) + b"N"),
        asks(0), asks(1, 2), asks(1, 0xFFFFFFFF), asks(0x80000000),
        HEAD.pack(0xFFFFFFFF, ops.REPLY, 1, 0), HEAD.pack((64 << 20) + 1, ops.REPLY, 1, 0),
        frame(ops.RAISED, 1, 0, b"N"), frame(ops.RAISED, 1, 0, dumps(("E", "m"))),
        frame(ops.RAISED, 1, 0, dumps(("E", 1, "t"))),
        frame(ops.RAISED, 1, 0, dumps(["E", "m", "t"])),
        frame(ops.RAISED, 1, 0, dumps(("E" * 257, "m", "t"))),
        frame(ops.RAISED, 1, 0, dumps(("E", "m" * 65537, "t"))),
        frame(ops.RAISED, 1, 0, dumps(("E", "m", "t" * 262145))),
    ],
)  # fmt: skip
def test_what_may_not_be_ends_the_guest(forged: bytes) -> None:
    refused(answering(forged))


def test_a_request_is_answered_once() -> None:
    with against(answering(reply(1, "a") + reply(1, "b"))) as peer:
        assert ask(peer) == "a"
        with pytest.raises(GuestProtocolError):
            ask(peer)


def test_an_answer_does_not_come_before_the_requests_inside_are_answered() -> None:
    def serve(op: str, body: Any, request: Any) -> Any:
        return request("call", 1, soon())

    def script(guest: Guest) -> None:
        guest.read()
        guest.send(asks(1, 1))
        guest.read()  # the host's second request, inside of ours
        guest.send(reply(1))

    refused(script, "within", serve)


def test_two_requests_are_not_inside_one_at_a_time() -> None:
    def serve(op: str, body: Any, request: Any) -> Any:
        return request("call", 1, soon())

    def script(guest: Guest) -> None:
        guest.read()
        guest.send(asks(1, 1))
        guest.read()
        guest.send(asks(2, 1))

    refused(script, "inside", serve)


def test_a_request_is_not_inside_one_that_is_answered() -> None:
    with against(answering(reply(1, "a") + asks(1, 1))) as peer:
        assert ask(peer) == "a"
        with pytest.raises(GuestProtocolError, match="inside"):
            ask(peer)


def test_numbers_of_requests_are_not_used_twice() -> None:
    refused(answering(asks(5), asks(5)), "number")
    refused(answering(asks(5), asks(4)), "number")
    with against(answering(asks(5), asks(9), reply(1))) as peer:
        assert ask(peer) is None


def test_numbers_go_round() -> None:
    first = (asks(n) for n in (0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 1))
    with against(answering(*first, reply(1))) as peer:
        assert ask(peer) is None


def test_the_depth_is_the_hosts_to_keep() -> None:
    """Each side asks inside the other's request, for ever."""
    served = []

    def serve(op: str, body: Any, request: Any) -> Any:
        served.append(1)
        return request("call", 1, soon())

    def script(guest: Guest) -> None:
        mine = 0
        while True:
            kind, number, _, _ = guest.read()
            if kind == ops.REQUEST:
                mine += 1
                guest.send(asks(mine, number))
            else:
                return

    with against(script, serve) as peer, pytest.raises((GuestEnded, GuestProtocolError)):
        ask(peer)
    assert len(served) == ops.NESTED // 2


def test_too_many_requests_without_an_answer_end_the_guest() -> None:
    def serve(op: str, body: Any, request: Any) -> Any:
        return request("call", 1, soon())

    refused(answering(*(asks(n) for n in range(1, 80))), "too many", serve, outstanding=64)


def test_a_flood_of_notes_ends_the_guest() -> None:
    seen: list[Any] = []
    refused(
        answering(notes() * 500, notes() * 600), "flood", lambda op, body, request: seen.append(op)
    )
    assert len(seen) == 1024


def test_notes_that_go_with_the_traffic_are_borne() -> None:
    def script(guest: Guest) -> None:
        for _ in range(500):
            _, number, _, _ = guest.read()
            guest.send(notes() * 10 + reply(number))

    with against(script) as peer:
        for _ in range(500):
            ask(peer)


@pytest.mark.parametrize("size", [0, 1, 12, 13, 14, 20])
def test_a_guest_that_stops_within_a_frame_is_ended_by_the_deadline(size: int) -> None:
    stop = threading.Event()

    def script(guest: Guest) -> None:
        guest.read()
        guest.send(reply(1, "long enough")[:size])
        stop.wait(PATIENCE)

    with against(script) as peer:
        with pytest.raises(TimeoutError):
            ask(peer, time.monotonic() + 0.05)
        with pytest.raises(GuestEnded):
            ask(peer)
        stop.set()


def test_a_guest_that_does_not_read_is_ended_by_the_deadline() -> None:
    stop = threading.Event()
    with against(lambda guest: stop.wait(PATIENCE) and None) as peer:
        with pytest.raises(TimeoutError):
            peer.request("put", b"x" * 10_000_000, time.monotonic() + 0.05)
        stop.set()


def test_every_end_within_a_frame_is_an_end() -> None:
    whole = reply(1, "value")
    for size in range(len(whole)):
        with against(answering(whole[:size], stays=False)) as peer, pytest.raises(GuestEnded):
            ask(peer)
    with against(lambda guest: None) as peer:
        with pytest.raises(GuestEnded):
            ask(peer)
        with pytest.raises(GuestEnded):
            peer.note("drop", ())


def test_an_end_while_the_host_writes_much_is_an_end() -> None:
    def script(guest: Guest) -> None:
        guest.exactly(100_000)

    with against(script) as peer, pytest.raises(GuestEnded):
        peer.request("put", b"x" * 50_000_000, soon())


def test_a_guest_that_only_writes_is_ended_before_it_fills_the_host() -> None:
    """While the host writes, it takes what comes: so much and no more."""

    def script(guest: Guest) -> None:
        guest.exactly(13)
        body = bytes([ops.GUEST_ASKS["call"]]) + dumps(b"x" * 100_000)
        for n in range(1, 100):
            guest.send(frame(ops.REQUEST, n, 0, body))

    with against(script, ahead=2_000_000) as peer, pytest.raises(GuestProtocolError, match="read"):
        peer.request("put", b"x" * 50_000_000, soon())


def test_bytes_one_by_one_are_a_frame() -> None:
    def script(guest: Guest) -> None:
        guest.read()
        for byte in reply(1, "x" * 2000):
            guest.send(bytes([byte]))

    with against(script) as peer:
        assert ask(peer) == "x" * 2000


def test_many_small_frames_cost_no_more_than_their_bytes() -> None:
    """Frames that come in one piece are not cut off one by one, each from all that follow."""
    count = 20_000
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = Peer(ours, lambda op, body, request: None, BridgeLimits(notes=10 * count))

        def script() -> None:
            Guest(theirs).read()
            theirs.sendall(notes() * count + reply(1))

        thread = threading.Thread(target=script)
        thread.start()
        begun = time.thread_time()
        ask(peer)
        took = time.thread_time() - begun
        thread.join()
    assert took < count * 100e-6


def test_what_waits_for_nobody_is_served_when_asked_to() -> None:
    served = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = Peer(ours, lambda op, body, request: served.append(body))
        assert peer.serve_waiting() == 0
        theirs.sendall(asks(1, 0, "call", "a") + notes("b"))
        assert peer.serve_waiting() == 2
        assert served == ["a", "b"]
        assert not peer.pending
        theirs.sendall(asks(2)[:5])
        with pytest.raises(TimeoutError):
            peer.serve_waiting(time.monotonic() + 0.01)
        assert isinstance(peer.over, GuestEnded)
        assert peer.serve_waiting() == 0


def test_frames_behind_an_answer_wait_and_are_known() -> None:
    served = []
    with against(
        answering(reply(1) + asks(1, 0, "call", "later")),
        lambda op, body, request: served.append(body),
    ) as peer:
        ask(peer)
        finish = soon()
        while not served:
            peer.serve_waiting()
            assert time.monotonic() < finish


def test_an_interruption_of_a_host_function_ends_the_guest() -> None:
    def serve(op: str, body: Any, request: Any) -> Any:
        raise KeyboardInterrupt

    with against(answering(asks(1, 1)), serve) as peer:
        with pytest.raises(KeyboardInterrupt):
            ask(peer)
        with pytest.raises(GuestEnded, match="KeyboardInterrupt"):
            ask(peer)


def test_closing_wakes_those_who_wait() -> None:
    arrived = threading.Barrier(4)
    found: list[Any] = []

    def wait(peer: Peer) -> None:
        arrived.wait(PATIENCE)
        try:
            peer.request("run", "x")
        except GuestEnded as error:
            found.append(str(error))

    with against(lambda guest: [guest.read() for _ in range(3)] and guest.read() and None) as peer:
        threads = [threading.Thread(target=wait, args=(peer,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        arrived.wait(PATIENCE)
        finish = soon()
        while len(peer._waiters) < 3:
            assert time.monotonic() < finish
        peer.close()
        for thread in threads:
            thread.join(PATIENCE)
    assert found == ["the sandbox is closed"] * 3


def test_errors_are_raised_anew_for_each_who_asks() -> None:
    with against(answering(reply(9))) as peer:
        found = []
        for _ in range(3):
            with pytest.raises(GuestProtocolError) as raised:
                ask(peer)
            found.append(raised.value)
        assert len(set(map(id, found))) == 3


def test_an_error_of_the_guest_is_text() -> None:
    told = ("Evil\x1b[31m", "m" * 65536, "t" * 262144)
    with against(answering(frame(ops.RAISED, 1, 0, dumps(told)))) as peer:
        with pytest.raises(GuestError) as raised:
            ask(peer)
        assert (raised.value.type_name, raised.value.message) == told[:2]


def test_what_the_host_cannot_send_is_not_begun() -> None:
    with against(answering(reply(1, 5)), frame=1000) as peer:
        with pytest.raises(ValueError, match="longer than a frame"):
            peer.request("put", b"x" * 1001)
        assert peer.over is None
        assert ask(peer) == 5
