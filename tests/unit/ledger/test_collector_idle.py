"""Those who connect and say nothing, or half of it: they keep nobody else out."""

from __future__ import annotations

import os
import time

import pytest
from tests.conftest import cannot
from tests.unit.ledger.collecting import Machine, Raw, begin, machine, message, numbered
from tests.unit.ledger.conftest import packed

from belljar.ledger import END, EVENTS, START
from belljar.ledger.collect.connection import Connection
from belljar.ledger.collect.crowd import PACE, Crowd
from belljar.ledger.collect.identity import Sender
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.collect.shares import Limits
from belljar.ledger.collect.wire import ACK, NO, parse_said
from belljar.ledger.reader import read, verify

QUICK = Limits(greeting=0.3, patience=0.6)


def test_a_connection_that_begins_no_run_is_ended_and_told_why() -> None:
    with machine(limits=QUICK) as here, Raw(here.path) as silent, Raw(here.path) as half:
        half.sock.sendall(begin(1, os.urandom(16))[:30])
        before = time.monotonic()
        for sender in (silent, half):
            assert sender.hear()[::3] == (NO, "no run was begun on it for 0.3 seconds")
            assert sender.hear()[0] == 0
        assert time.monotonic() - before < 5


def test_one_that_sends_a_byte_now_and_then_is_ended_all_the_same() -> None:
    with machine(limits=QUICK) as here, Raw(here.path) as sender:
        sender.sock.settimeout(0.05)
        for byte in begin(1, os.urandom(16)):
            try:
                sender.sock.sendall(bytes((byte,)))
                kind, _number, _values, reason = sender.hear()
                break
            except TimeoutError:
                continue
        assert (kind, reason) == (NO, "no run was begun on it for 0.3 seconds")


def test_a_quiet_application_that_has_begun_a_run_is_left_alone() -> None:
    with machine(limits=QUICK) as here, Raw(here.path) as sender:
        run = os.urandom(16)
        assert sender.say(begin(1, run))[0] == ACK
        sender.sock.settimeout(1.2)
        with pytest.raises(TimeoutError):
            sender.hear()
        sender.sock.settimeout(20)
        assert sender.say(message(2, run, (EVENTS, 1, numbered(0))))[0] == ACK


def test_half_a_message_of_a_run_is_waited_for_as_long_as_patience_is() -> None:
    with machine(limits=QUICK) as here, Raw(here.path) as sender:
        run = os.urandom(16)
        assert sender.say(begin(1, run))[0] == ACK
        before = time.monotonic()
        assert sender.say(message(2, run, (EVENTS, 1, numbered(0)))[:40])[::3] == (
            NO, "a message took too long to arrive",
        )  # fmt: skip
        assert 0.5 < time.monotonic() - before < 5
        here.stop()
        assert here.senders()[-1]["ended"] == "a message took too long to arrive"


def test_who_has_spoken_is_not_late_because_the_collector_was_busy() -> None:
    with machine(limits=QUICK) as here, Raw(here.path) as sender:
        os.kill(here.pid, 19)
        sender.sock.sendall(begin(1, os.urandom(16)))
        time.sleep(0.8)
        os.kill(here.pid, 18)
        assert sender.hear()[0] == ACK


def test_a_writer_that_waits_long_before_its_first_append_connects_anew() -> None:
    with machine(limits=QUICK) as here, RemoteWriter(here.path) as writer:
        first = writer.connection
        time.sleep(1.0)
        run = os.urandom(16)
        writer.append([(START, 1, packed({}))], run)
        assert writer.connection > first
        writer.append([(END, 1, packed({}))], run)
        here.stop()
        assert verify(here.directory).unfinished == ()


def crowd(room: int, *users: tuple[int, int]) -> tuple[Crowd, list[Connection], list[object]]:
    """A crowd with so many connections of each user; the sockets' other ends."""
    import socket

    made = Crowd(Limits(connections=room))
    connections, ends = [], []
    for user, count in users:
        for _ in range(count):
            here, there = socket.socketpair()
            shares = made.of(user, 0.0)
            one = Connection(here, len(connections), Sender(1, user, user), shares, 0.0)
            one.heard = float(len(connections))
            made.enter(one)
            connections.append(one)
            ends.append(there)
    return made, connections, ends


def test_in_a_full_house_the_longest_silent_of_the_user_with_most_goes() -> None:
    made, all_, ends = crowd(128, (1, 20), (2, 62), (3, 46))
    try:
        first = next(c for c in all_ if c.sender.uid == 2)
        assert made.place(made.of(9, 0.0)) == ("", first)
        first.open.add(bytes(16))  # one that has a run open is kept before those that have none
        second = made.place(made.of(9, 0.0))[1]
        assert second is not None
        assert (second.sender.uid, second.heard) == (2, first.heard + 1)
        second.heard = 1e9
        third = made.place(made.of(1, 0.0))[1]
        assert third is not None
        assert third.heard == first.heard + 2
        assert "no room" in made.place(made.of(2, 0.0))[0]  # not at the cost of those with fewer
    finally:
        for connection in made:
            connection.sock.close()
        for end in ends:
            end.close()  # type: ignore[attr-defined]


def test_a_user_who_has_few_connections_loses_none_of_them() -> None:
    few = Limits(connections=128).few
    made, _all, ends = crowd(128, *((user, few) for user in range(128 // few)))
    try:
        why, goes = made.place(made.of(999, 0.0))
        assert "no room" in why
        assert goes is None
    finally:
        for connection in made:
            connection.sock.close()
        for end in ends:
            end.close()  # type: ignore[attr-defined]


def test_nobody_is_looked_at_where_nothing_is_expected() -> None:
    made, (one,), (end,) = crowd(4, (1, 1))
    try:
        assert made.until(0.0) == 0.0
        assert made.late(0.0) == []
        assert made.until(0.0) == PACE
        one.fresh = False
        assert made.late(1.0) == []
        assert made.until(1.0) is None
    finally:
        one.sock.close()
        end.close()  # type: ignore[attr-defined]


def occupy(here: Machine, user: int, count: int, full: int) -> None:
    """As `user`, hold `count` connections that have begun a run, and stay; all are tried again.
    A byte to `full` says that all were had once."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    held = []
    while True:
        while len(held) < count:
            sender = Raw(here.path)
            if sender.greeted[1]:
                sender.sock.close()
                break
            if sender.say(begin(1, os.urandom(16)))[0] == ACK:
                held.append(sender)
            else:  # it had to make room already
                sender.sock.close()
        if len(held) == count and full >= 0:
            os.write(full, b"f")
            full = -1
        time.sleep(0.02)
        for sender in list(held):
            sender.sock.setblocking(False)
            try:
                said = parse_said(sender.sock.recv(4096))
            except BlockingIOError:
                continue
            except ConnectionResetError:
                said = None
            if said is None or said[0] == NO:
                held.remove(sender)
                sender.sock.close()


def test_two_users_who_hold_every_connection_do_not_keep_a_third_out() -> None:
    """They begin runs, so no deadline ends them, and come back as soon as one was ended."""
    if os.geteuid() != 0:
        cannot("only root can be several users")
    room = 64
    hostile: list[int] = []
    full_out, full = os.pipe()
    with machine(limits=Limits(connections=room)) as here:
        for user in (65533, 65534):
            hostile.append(here.fork(lambda u=user: occupy(here, u, room // 2, full)))  # type: ignore[misc]
        os.close(full)
        said = os.read(full_out, 1) + os.read(full_out, 1)
        os.close(full_out)
        assert said == b"ff"
        slowest = 0.0
        for _ in range(5):
            before = time.monotonic()
            with RemoteWriter(here.path, deadline=20) as writer:
                run = os.urandom(16)
                writer.append([(START, 1, packed({}))], run)
                for index in range(20):
                    writer.append([(EVENTS, 1, numbered(index))], run)
                writer.append([(END, 1, packed({}))], run)
            slowest = max(slowest, time.monotonic() - before)
        assert slowest < 2.0
        assert [here.kill(child) for child in hostile] == [-9, -9], "one had stopped being hostile"
        here.stop()
        mine = {s["run"] for s in here.senders() if s["uid"] == os.geteuid()}
        assert len(mine) == 5
        whole = [r.name for r in read(here.directory) if r.run in mine]
        assert whole.count("events") == 100
        assert "full" in " ".join(s.get("ended", "") for s in here.senders())
