"""The host's end against a guest that sends whatever it likes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from liar import HEAD, PATIENCE, Guest, against, answering, ask, asks, frame, notes, reply, soon

from belljar.errors import GuestEnded, GuestProtocolError
from belljar.sandbox.bridge.peer import Peer
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import dumps


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


def test_a_guest_that_goes_deeper_is_ended() -> None:
    """It begins, so that the request beyond the depth is its own."""
    served = []

    def serve(op: str, body: Any, request: Any) -> Any:
        served.append(1)
        return request("call", 1, soon())

    def script(guest: Guest) -> None:
        guest.send(asks(1))
        for mine in range(2, 40):
            guest.send(asks(mine, guest.read()[1]))

    with against(script, serve) as peer:
        finish = soon()
        while not peer._wire.waiting():
            assert time.monotonic() < finish
        with pytest.raises(GuestProtocolError, match="inside"):
            peer.serve_waiting()
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


def test_a_request_of_another_thread_is_answered_once_too() -> None:
    """The thread that reads meets both answers before the other one wakes."""

    def script(guest: Guest) -> None:
        numbers = sorted(guest.read()[1] for _ in range(2))
        guest.send(reply(numbers[1]) + reply(numbers[1]) + reply(numbers[0]))
        while guest.sock.recv(1 << 16):
            continue

    found: list[Any] = []

    def wait(peer: Peer) -> None:
        try:
            found.append(ask(peer))
        except GuestProtocolError as error:
            found.append(error)

    with against(script) as peer:
        first = threading.Thread(target=wait, args=(peer,))
        first.start()
        finish = soon()
        while not peer.busy:
            assert time.monotonic() < finish
        wait(peer)
        first.join(PATIENCE)
        assert type(peer.over) is GuestProtocolError
