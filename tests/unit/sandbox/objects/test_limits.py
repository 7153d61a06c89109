"""Checks, limits, narrowing and taking back."""

from __future__ import annotations

import threading

import pytest
from pairs import Pair

from belljar.sandbox.bridge.limits import Limit, Meter, checked_limit
from belljar.sandbox.guest.host import Limited


def named(name: str) -> str:
    return f"row {name}"


async def slowly(name: str) -> str:
    return name


def test_a_check_sees_the_arguments_and_allows_with_true() -> None:
    pair = Pair()
    allow = {"get": lambda name, more=0: name.startswith("a") and more == 0}
    pair.share("db", functions={"get": lambda name, more=0: named(name)}, allow=allow)
    assert pair.host.db.get("ab") == "row ab"
    for args, more in ((("b",), {}), (("a",), {"more": 1})):
        with pytest.raises(PermissionError, match=r"host.db.get: its check says no"):
            pair.host.db.get(*args, **more)
    assert [row[2] for row in pair.recorded] == ["allow", "deny", "deny"]


@pytest.mark.parametrize("answer", [1, "yes", object(), [True]])
def test_what_is_merely_true_in_a_way_does_not_allow(answer: object) -> None:
    pair = Pair()
    pair.share("db", functions={"get": named}, allow={"get": lambda _name: answer})
    with pytest.raises(PermissionError, match="neither True nor False"):
        pair.host.db.get("a")


def test_a_check_that_fails_refuses_and_does_not_tell_why() -> None:
    pair = Pair()
    pair.share("db", functions={"get": named}, allow={"get": lambda name: {}[name]})
    with pytest.raises(PermissionError) as error:
        pair.host.db.get("secret")
    assert str(error.value) == "host.db.get: its check failed"


def test_an_async_check_is_refused_when_shared() -> None:
    with pytest.raises(TypeError, match="what it returns is always true"):
        Pair().share("db", functions={"get": named}, allow={"get": slowly})


def test_calls_are_counted_and_end() -> None:
    pair = Pair()
    handle = pair.share("db", functions={"get": named}, limits={"get": Limit(calls=2)})
    pair.host.db.get("a")
    pair.host.db.get("b")
    with pytest.raises(Limited, match=r"^host.db.get: its 2 calls are used up$"):
        pair.host.db.get("c")
    assert handle.calls == {"get": 2}
    assert pair.recorded[-1] == ("db", "get", "deny", "its 2 calls are used up")


def test_calls_a_second_fill_up_again_with_time() -> None:
    now = [0.0]
    meter = Meter(Limit(per_second=2), lambda: now[0])
    assert [meter.take() for _ in range(3)] == [None, None, "more than 2 calls a second"]
    now[0] = 0.4
    assert meter.take() is not None
    now[0] = 0.6
    assert meter.take() is None
    now[0] = 100.0
    assert [meter.take() is None for _ in range(3)] == [True, True, False]


def test_many_threads_together_make_no_more_calls_than_one() -> None:
    meter = Meter(Limit(calls=500))
    taken: list[bool] = []

    def take() -> None:
        taken.extend([meter.take() is None for _ in range(200)])

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 500


@pytest.mark.parametrize(
    "limit",
    [Limit(calls=-1), Limit(calls=True), Limit(per_second=0), Limit(seconds=float("nan")),
     Limit(seconds=float("inf")), Limit(calls=1.5), Limit(per_second="9")],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused(limit: Limit) -> None:
    with pytest.raises(ValueError):
        checked_limit(limit)


def test_a_call_that_takes_too_long_ends_for_the_guest() -> None:
    pair = Pair()
    go, ended = threading.Event(), threading.Event()

    def wait() -> None:
        go.wait(60)
        ended.set()

    limits = {"wait": Limit(seconds=0.01), "get": Limit(seconds=60)}
    pair.share("db", functions={"wait": wait, "get": named}, limits=limits)
    for _ in range(4):
        with pytest.raises(TimeoutError, match=r"longer than 0.01 seconds"):
            pair.host.db.wait()
    with pytest.raises(TimeoutError, match="earlier calls have not ended"):
        pair.host.db.wait()  # the host is not filled with threads
    assert pair.host.db.get("a") == "row a"
    go.set()
    assert ended.wait(60)
    for thread in threading.enumerate():
        if thread.name == "belljar-call":
            thread.join(60)
    pair.share("other", functions={"fail": lambda: {}["x"]}, limits={"fail": Limit(seconds=60)})
    with pytest.raises(KeyError):
        pair.host.other.fail()


def test_an_async_call_that_takes_too_long_is_cancelled() -> None:
    pair = Pair()
    ended: list[str] = []

    async def wait() -> None:
        import asyncio

        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    pair.share("db", functions={"wait": wait}, limits={"wait": Limit(seconds=0.01)})
    with pytest.raises(TimeoutError, match=r"longer than 0.01 seconds"):
        pair.host.db.wait()
    assert ended == ["cancelled"]


def test_after_revoke_nothing_can_be_called() -> None:
    pair = Pair()
    handle = pair.share("db", functions={"get": named})
    db = pair.host.db
    handle.revoke()
    assert handle.revoked
    with pytest.raises(ReferenceError, match="not shared, or no longer"):
        db.get("a")
    with pytest.raises(AttributeError):
        pair.host.db  # noqa: B018
    assert pair.recorded[-1][2] == "deny"
    handle.revoke()  # again is no error


def test_what_was_given_out_is_taken_back_too() -> None:
    pair = Pair()
    handle = pair.share("db", functions={"open": list}, returns={"open": ["append"]})
    pair.share("other", functions={"open": lambda: memoryview(b"")}, returns={"open": ["tobytes"]})
    view, other = pair.host.other.open(), pair.host.other
    handle.revoke()
    assert view.tobytes() == b""
    assert other.open().tobytes() == b""
    pair.objects.close()
    with pytest.raises(ReferenceError):
        view.tobytes()


def test_a_revocation_during_a_call_keeps_its_result_from_the_guest() -> None:
    pair = Pair()
    handle = pair.share("db", functions={"get": lambda: handle.revoke() or "secret"})
    with pytest.raises(ReferenceError, match="taken back during the call"):
        pair.host.db.get()


def test_narrowing_removes_and_never_adds() -> None:
    pair = Pair()
    functions = {"get": named, "put": named, "drop": named}
    handle = pair.share("db", functions=functions, allow={"get": lambda name: name != "x"})
    db = pair.host.db
    handle.narrow(methods=["get", "put"])
    with pytest.raises(AttributeError, match="no such method is shared"):
        db.drop("a")
    assert handle.methods == ("get", "put")
    handle.narrow(allow={"get": lambda name: name != "y"})
    for name in ("x", "y"):
        with pytest.raises(PermissionError):
            db.get(name)
    assert db.get("z") == "row z"
    with pytest.raises(ValueError, match="can only be narrowed"):
        handle.narrow(methods=["get", "drop"])
    with pytest.raises(ValueError, match="'drop' is not among"):
        handle.narrow(limits={"drop": Limit(calls=3)})


def test_a_wider_limit_does_not_widen() -> None:
    pair = Pair()
    handle = pair.share("db", functions={"get": named}, limits={"get": Limit(calls=1)})
    handle.narrow(limits={"get": Limit(calls=100)})
    pair.host.db.get("a")
    with pytest.raises(Limited, match="its 1 calls are used up"):
        pair.host.db.get("a")


def test_nothing_is_called_that_cannot_be_recorded() -> None:
    called: list[str] = []
    pair = Pair()

    def record(*_args: object) -> None:
        raise OSError("the disk is full")

    pair.objects._serving._record = record
    pair.share("db", functions={"get": called.append})
    with pytest.raises(OSError, match="the disk is full"):
        pair.host.db.get("a")
    assert not called
