"""References end on both sides when nobody holds them, and all of them with the guest."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from bridged import Bridged
from pairs import Pair

from belljar.errors import BelljarError, GuestError
from belljar.sandbox.bridge.handles import Exposed
from belljar.sandbox.bridge.objects import ObjectLimits


class Cursor:
    def fetch(self) -> int:
        return 1


def test_what_a_guest_no_longer_holds_the_host_lets_go() -> None:
    made: list[weakref.ref[Cursor]] = []

    def opened() -> Cursor:
        cursor = Cursor()
        made.append(weakref.ref(cursor))
        return cursor

    pair = Pair()
    pair.share("db", functions={"open": opened}, returns={"open": ["fetch"]})
    kept = pair.host.db.open()
    for _ in range(200):
        pair.host.db.open()
    gc.collect()
    alive = [ref for ref in made if ref() is not None]
    assert len(alive) < 50
    assert kept.fetch() == 1


def test_what_a_guest_was_sent_twice_lives_until_it_dropped_both() -> None:
    pair = Pair()
    cursor = Exposed(Cursor(), methods=["fetch"])
    pair.share("db", Cursor(), methods=["fetch"])
    first, second = pair.objects.named("db"), pair.objects.named("db")
    number = first._shared.number
    for handle in (first, second):
        pair.objects.refer(handle)
    pair.objects.revoke(first._shared)
    pair.guest.note("drop", (number, 1))
    assert number in pair.objects.shared
    pair.guest.note("drop", (number, 1))
    assert number not in pair.objects.shared
    assert cursor.object.fetch() == 1


def test_what_is_taken_back_is_let_go_of_whatever_the_guest_holds() -> None:
    pair = Pair()
    cursor = Cursor()
    made = [weakref.ref(cursor)]

    def opened() -> Cursor:
        made.append(weakref.ref(one := Cursor()))
        return one

    first = pair.share("cursor", cursor, methods=["fetch"])
    second = pair.share("db", functions={"open": opened}, returns={"open": ["fetch"]})
    kept = [pair.host.cursor, pair.host.db.open()]
    del cursor
    assert all(one() is not None for one in made)
    first.revoke()
    second.revoke()
    gc.collect()
    assert all(one() is None for one in made)
    for one in kept:
        with pytest.raises(ReferenceError):
            one.fetch()
    assert first.methods == ()


def test_a_guest_holds_no_more_host_objects_than_it_may() -> None:
    pair = Pair(ObjectLimits(shared=40))
    pair.share("db", functions={"open": Cursor}, returns={"open": ["fetch"]})
    with pytest.raises(MemoryError, match="as many host objects as it may"):
        [pair.host.db.open() for _ in range(41)]


def test_what_the_host_no_longer_holds_the_guest_lets_go() -> None:
    pair = Pair()
    kept: list[Any] = []
    pair.share("tools", functions={"keep": kept.append, "no": lambda call: None})
    pair.host.tools.keep(len)
    for _ in range(200):
        pair.host.tools.no(lambda: 1)
    gc.collect()
    assert len(pair.guest.side._lent) < 50
    assert kept[0]([1, 2]) == 2
    assert len(pair.objects._lent) < 50


def test_a_guest_lends_no_more_than_it_may() -> None:
    pair = Pair(ObjectLimits(lent=40))
    pair.share("keep", functions=[].extend)
    with pytest.raises(Exception, match="the guest lends more than it may"):
        pair.host.keep([len] * 41)


def test_numbers_are_never_used_again() -> None:
    pair = Pair()
    numbers = []
    for _ in range(5):
        handle = pair.share("db", Cursor(), methods=["fetch"])
        numbers.append(pair.host.db._number)
        handle.revoke()
        with pytest.raises(ReferenceError):
            pair.guest.side.names["db"].fetch()
    assert numbers == sorted(set(numbers))


def test_a_name_that_is_shared_anew_is_found_again() -> None:
    pair = Pair()
    handle = pair.share("db", functions={"get": lambda: 1})
    assert pair.host.db.get() == 1
    handle.revoke()
    pair.share("db", functions={"get": lambda: 2})
    with pytest.raises(ReferenceError):
        pair.host.db.get()  # the old one, which the guest had at hand
    assert pair.host.db.get() == 2


def test_after_the_end_nothing_is_shared_and_nothing_was_lent() -> None:
    kept: list[Any] = []
    with Bridged() as box:
        handle = box.share("keep", functions=kept.append)
        box.run("host.keep(len)")
    assert handle.revoked
    with pytest.raises((ReferenceError, BelljarError)):
        kept[0]("abc")
    with pytest.raises(ReferenceError, match="closed"):
        box.share("other", functions=len)
    kept.clear()


def test_many_references_go_to_and_fro_over_a_real_bridge() -> None:
    with Bridged(ObjectLimits(shared=100, lent=100)) as box:
        functions = {"open": Cursor, "call": lambda call: call()}
        box.share("db", functions=functions, returns={"open": ["fetch"]})
        source = "sum(host.db.open().fetch() + host.db.call(lambda: 1) for _ in range(500))"
        assert box.run(source) == 1000
        assert len(box.objects.shared) < 100
        assert box.run("import gc; gc.collect(); len(side._lent)") < 100


def test_neither_side_pickles_a_reference() -> None:
    import pickle

    with Bridged() as box:
        box.share("db", Cursor(), methods=["fetch"])
        call = box.run("len")
        with pytest.raises(TypeError, match="belongs to one sandbox"):
            pickle.dumps(call)
        with pytest.raises(GuestError, match="cannot be pickled"):
            box.run("import pickle; pickle.dumps(host.db)")
