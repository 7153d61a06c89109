"""The weaker recorder, in Python: the same interface, the same rule, and it says what it is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import belljar
from belljar import _native
from belljar.events.targets import BigInt, Cut, TypeName
from belljar.watch.fallback import snapshot

Weaker = Callable[..., "Iterator[belljar.Watching]"]


@pytest.fixture
def weaker(monkeypatch: pytest.MonkeyPatch) -> Weaker:
    """`with weaker(...) as events:` as `watching`, where the library cannot be loaded."""
    refused = OSError("the recorder cannot be loaded: it is not there")

    def no_library(*_args: object) -> int:
        raise refused

    @contextmanager
    def watch(**options: object) -> Iterator[belljar.Watching]:
        watching = belljar.watching(**options)  # type: ignore[arg-type]
        with monkeypatch.context() as patch:
            patch.setattr(_native, "reader_open", no_library)
            with pytest.warns(RuntimeWarning, match=r"cannot be loaded.*weaker"):
                watching.__enter__()
        try:
            yield watching
        finally:
            watching.__exit__(None, None, None)

    return watch


def test_it_says_plainly_that_it_is_the_weaker_one(weaker: Weaker) -> None:
    with weaker(events="shop.*") as events:
        assert "subinterpreters" in events.weaker
        assert "it is not there" in events.weaker


def test_it_gives_the_same_events(weaker: Weaker, tmp_path: Path) -> None:
    file = str(tmp_path / "f")

    def act() -> None:
        open(file, "w").close()
        sys.audit("shop.refund", 7, [b"x"], object(), {"a": 1}, 2**70, "\udc80", True, None, 0.5)
        os.rename(file, file + "2")

    with belljar.watching(stacks=2) as native:
        act()
    with weaker(stacks=2) as python:
        act()

    def told(events: belljar.Watching) -> list[object]:
        return [
            (
                e.seq,
                e.pid,
                e.thread,
                e.name,
                e.args,
                e.right,
                e.target,
                e.asked,
                e.stack,
                e.frames[:1],
            )
            for e in events
            if e.name in ("open", "shop.refund", "os.rename")
        ]

    assert [event[3:] for event in told(native)] == [event[3:] for event in told(python)]
    assert told(python)


def test_nothing_of_the_program_is_asked_for_anything(weaker: Weaker) -> None:
    asked: list[str] = []

    class Meta(type):
        def __eq__(cls, other: object) -> bool:
            asked.append("eq")
            return True

        def __hash__(cls) -> int:
            asked.append("hash")
            return 0

        @property
        def __name__(cls) -> str:
            asked.append("name")
            return "lie"

    class Hostile(str, metaclass=Meta):
        __slots__ = ()

        def __repr__(self) -> str:
            asked.append("repr")
            return ""

        def __len__(self) -> int:
            asked.append("len")
            return 0

        def __iter__(self) -> Iterator[str]:
            asked.append("iter")
            return iter(())

        def __getattribute__(self, name: str) -> object:
            asked.append(name)
            return None

    things = (Hostile("x"), [Hostile("y")], {Hostile("z"): 1})
    asked.clear()
    with weaker(events="shop.*") as events:
        sys.audit("shop.one", *things)
    (event,) = events
    hostile = TypeName("Hostile")
    assert event.args == (hostile, (hostile,), (hostile,))
    assert not asked


def test_other_threads_are_seen_and_numbers_are_in_order(weaker: Weaker) -> None:
    with weaker(events="shop.*") as events:
        threads = [
            threading.Thread(target=lambda i=i: [sys.audit("shop.n", i, n) for n in range(50)])
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(event.args for event in events) == [(i, n) for i in range(4) for n in range(50)]


def test_what_finds_no_room_is_counted(weaker: Weaker) -> None:
    with weaker(events="shop.*", room=4096) as events:
        for i in range(1000):
            sys.audit("shop.full", i)
        kept = events.take()
        assert 5 < len(kept) < 60
        assert events.drops == 1000 - len(kept)
        sys.audit("shop.after")
    assert [event.name for event in events] == ["shop.after"]


def test_only_what_is_asked_for_is_kept(weaker: Weaker) -> None:
    with weaker(events="shop.a") as one, weaker(events="shop.*") as all_of_them:
        sys.audit("shop.a")
        sys.audit("shop.b")
        sys.audit("other.c")
    sys.audit("shop.a")
    assert [event.name for event in one] == ["shop.a"]
    assert [event.name for event in all_of_them] == ["shop.a", "shop.b"]


def test_environments_are_named_and_never_told(weaker: Weaker) -> None:
    with weaker(events=("os.putenv", "subprocess.Popen")) as events:
        os.environ["BELLJAR_TEST"] = "secret-one"
        subprocess.run(["true"], env={"A": "secret-two", "PATH": "/bin:/usr/bin"}, check=True)
    assert "secret" not in repr([event.args for event in events])
    assert len(events) == 2


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * 3000, Cut("x" * 1024, 3000)),
        (b"\xff" * 2000, Cut("\udcff" * 1024, 2000)),
        (-(2**64), BigInt(-65)),
        (2**63 - 1, 2**63 - 1),
        (list(range(100)), tuple(range(64))),
        ([[[[[1]]]]], (((None,),),)),
        (print, TypeName("builtin_function_or_method")),
    ],
)  # fmt: skip
def test_values_are_cut_as_the_native_recorder_cuts_them(value: object, kept: object) -> None:
    assert snapshot(value) == kept


def test_without_the_extension_module_it_is_used_too() -> None:
    code = """
import sys, warnings
sys.modules["belljar._native"] = None
warnings.simplefilter("ignore")
import belljar
with belljar.watching(events="shop.*") as events:
    sys.audit("shop.one", 1)
print([(e.name, e.args) for e in events], "weaker" in events.weaker)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[('shop.one', (1,))] True\n"


def test_the_native_recorder_warns_of_nothing() -> None:
    with warnings.catch_warnings(), belljar.watching(events="shop.*") as events:
        warnings.simplefilter("error")
        sys.audit("shop.one")
    assert events.weaker == ""
