"""Many threads, deep calls, and handles that change while they are used."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from bridged import Bridged
from pairs import Pair

from belljar.errors import GuestError
from belljar.sandbox.bridge.limits import Limit


def in_threads(*work: Callable[[], object]) -> None:
    failed: list[BaseException] = []

    def one(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(call,)) for call in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_a_check_that_takes_back_what_it_checks_has_not_allowed() -> None:
    pair = Pair()
    called: list[str] = []
    handle = pair.share(
        "db", functions={"get": called.append, "put": called.append},
        allow={"get": lambda _x: handle.revoke() is None},
    )  # fmt: skip
    with pytest.raises(ReferenceError, match="it was taken back"):
        pair.host.db.get("a")
    other = pair.share(
        "narrow", functions={"get": called.append, "put": called.append},
        allow={"get": lambda _x: other.narrow(methods=["put"]) is None},
    )  # fmt: skip
    with pytest.raises(ReferenceError, match="it was taken back"):
        pair.host.narrow.get("a")
    assert not called


def test_after_revoke_no_call_begins() -> None:
    with Bridged() as box:
        over = threading.Event()
        late: list[int] = []
        calls: list[int] = []

        def tick(n: int) -> None:
            (late if over.is_set() else calls).append(n)
            if len(calls) == 50:
                handle.revoke()
                over.set()

        handle = box.share("tick", functions=tick)
        source = (
            "import threading\n"
            "ends = []\n"
            "def work():\n"
            "    try:\n"
            "        for n in range(1000): host.tick(n)\n"
            "    except (ReferenceError, AttributeError): ends.append(1)\n"
            "host.tick\n"
            "threads = [threading.Thread(target=work) for _ in range(4)]\n"
            "for t in threads: t.start()\n"
            "for t in threads: t.join()\n"
            "len(ends)"
        )
        assert box.run(source) == 4
        assert not late
        assert 50 <= len(calls) <= 54


def test_a_budget_is_one_for_all_threads() -> None:
    with Bridged() as box:
        made: list[int] = []
        handle = box.share("buy", functions=made.append, limits={"__call__": Limit(calls=100)})
        source = (
            "import threading\n"
            "def work():\n"
            "    for n in range(60):\n"
            "        try: host.buy(n)\n"
            "        except Exception: pass\n"
            "threads = [threading.Thread(target=work) for _ in range(4)]\n"
            "for t in threads: t.start()\n"
            "for t in threads: t.join()"
        )
        box.run(source)
        assert len(made) == 100
        assert handle.calls == {"__call__": 100}


def test_calls_in_one_another_end_with_a_clear_error_and_the_bridge_goes_on() -> None:
    with Bridged() as box:
        box.share("down", functions=lambda call: call())
        with pytest.raises(GuestError) as error:
            box.run("def again(): return host.down(again)\nagain()")
        assert error.value.type_name == "RecursionError"
        assert box.run("1 + 1") == 2
        assert box.run("host.down(lambda: 5)") == 5


def test_shares_come_and_go_while_the_guest_uses_them() -> None:
    with Bridged() as box:
        over = threading.Event()

        def change() -> None:
            for n in range(200):
                box.share("db", functions={"get": lambda n=n: n}).revoke()
            over.set()

        source = (
            "found = 0\n"
            "for n in range(300):\n"
            "    try: found += type(host.db.get()) is int\n"
            "    except (AttributeError, ReferenceError): pass\n"
            "found"
        )
        in_threads(change, lambda: box.run(source))
        assert over.is_set()
        box.share("db", functions={"get": lambda: "last"})
        box.run("try: host.db.get()\nexcept ReferenceError: pass")
        assert box.run("host.db.get()") == "last"


def test_two_guests_use_one_object_and_each_has_its_own_budget() -> None:
    rows: list[int] = []
    with Bridged() as one, Bridged() as other:
        for box in (one, other):
            box.share("rows", rows, methods=["append"], limits={"append": Limit(calls=30)})
        source = "for n in range(30): host.rows.append(n)"
        in_threads(lambda: one.run(source), lambda: other.run(source))
        with pytest.raises(GuestError, match="used up"):
            one.run("host.rows.append(1)")
    assert len(rows) == 60
