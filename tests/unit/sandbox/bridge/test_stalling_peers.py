"""The host's end against a guest that stops, ends, floods or waits, anywhere."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from liar import PATIENCE, Guest, against, answering, ask, asks, frame, notes, reply, soon

from belljar.errors import GuestEnded, GuestError, GuestProtocolError
from belljar.sandbox.bridge.peer import Peer
from belljar.sandbox.bridge.wire import BridgeLimits
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import dumps


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


def test_a_deadline_may_be_never() -> None:
    with against(answering(reply(1, 5))) as peer:
        assert peer.request("put", b"x" * 3_000_000, float("inf")) == 5


def test_of_two_who_wait_the_one_with_less_time_ends_it() -> None:
    def script(guest: Guest) -> None:
        while True:
            guest.read()

    found: list[Any] = []

    def wait(peer: Peer, deadline: float) -> None:
        try:
            ask(peer, deadline)
        except (TimeoutError, GuestEnded) as error:
            found.append(type(error))

    with against(script) as peer:
        patient = threading.Thread(target=wait, args=(peer, float("inf")))
        patient.start()
        finish = soon()
        while not peer.busy:
            assert time.monotonic() < finish
        wait(peer, time.monotonic() + 0.05)
        patient.join(PATIENCE)
    assert sorted(kind.__name__ for kind in found) == ["GuestEnded", "TimeoutError"]


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


def test_an_interruption_between_two_steps_ends_the_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    with against(answering(asks(1, 1))) as peer:
        monkeypatch.setattr(peer, "_answer", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ask(peer)
        assert not peer.busy
        with pytest.raises(GuestEnded, match="interrupted"):
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
