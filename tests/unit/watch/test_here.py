"""`belljar.watching()`: the native recorder in this very process."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import belljar
from belljar.errors import BelljarError, UsageError
from belljar.events.targets import TypeName


def names(events: belljar.Watching) -> list[str]:
    return [event.name for event in events]


def run_python(code: str, *, status: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def test_events_are_typed_and_in_order(tmp_path: Path) -> None:
    with belljar.watching() as events:
        os.mkdir(tmp_path / "a")
        sys.audit("shop.refund", 7, [b"x"], object())
    one, two = events
    assert (one.name, one.right, one.target, one.seq) == (
        "os.mkdir",
        "write",
        str(tmp_path / "a"),
        1,
    )
    assert (two.name, two.args, two.seq) == ("shop.refund", (7, (b"x",), TypeName("object")), 2)
    assert two.stack[0].function == "test_events_are_typed_and_in_order"
    assert two.pid == os.getpid()
    assert two.thread == threading.get_native_id()
    assert events.weaker == ""


def test_nothing_that_belljar_does_is_among_the_events() -> None:
    code = """
import belljar, sys
with belljar.watching(stacks=3) as events:
    sys.audit("one")
    assert [e.name for e in events] == ["one"], list(events)
    repr(events), len(events), events.drops, events.take(), bool(events)
    with belljar.watching(events="os.*", right="write"):
        pass
    sys.audit("two", "x" * 9000, 1 << 70, "\\udc80", {"k": 1})
print([e.name for e in events])
"""
    # entering an inner one may import: only the first of a process does
    assert run_python(code) == "['two']\n"


def test_other_threads_are_seen() -> None:
    with belljar.watching(events="shop.*") as events:
        threads = [
            threading.Thread(target=lambda i=i: [sys.audit("shop.mark", i, n) for n in range(50)])
            for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [event.seq for event in events] == list(range(1, 401))
    for i in range(8):
        assert [e.args[1] for e in events if e.args[0] == i] == list(range(50))


def test_subinterpreters_are_seen() -> None:
    interpreters = pytest.importorskip(
        "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    )
    with belljar.watching(events="shop.*") as events:
        other = interpreters.create()
        interpreters.run_string(other, "import sys; sys.audit('shop.inside', 1)")
        interpreters.destroy(other)
    assert [(event.name, event.args) for event in events] == [("shop.inside", (1,))]


def test_it_can_be_read_while_it_is_open_again_and_again() -> None:
    with belljar.watching(events="shop.*") as events:
        assert list(events) == []
        assert not events
        sys.audit("shop.one")
        assert names(events) == ["shop.one"]
        sys.audit("shop.two")
        assert names(events) == names(events) == ["shop.one", "shop.two"]
        assert [event.name for event in events.take()] == ["shop.one", "shop.two"]
        assert not events
        sys.audit("shop.three")
    sys.audit("shop.four")
    assert names(events) == names(events) == ["shop.three"]
    assert len(events.take()) == 1
    assert not events.take()


def test_reading_goes_on_with_what_comes_meanwhile() -> None:
    seen = []
    with belljar.watching(events="shop.*") as events:
        sys.audit("shop.first")
        for event in events:
            seen.append(event.name)
            if len(seen) < 5:
                sys.audit(f"shop.{len(seen)}")
    assert seen == ["shop.first", "shop.1", "shop.2", "shop.3", "shop.4"]


def test_several_have_their_own_filters_and_numbers() -> None:
    with belljar.watching(events="shop.*") as outer:
        sys.audit("shop.a")
        with belljar.watching(events=("shop.b", "other.x")) as inner:
            sys.audit("shop.b")
            sys.audit("shop.c")
            sys.audit("other.x")
        sys.audit("shop.b")
    assert [(e.seq, e.name) for e in inner] == [(1, "shop.b"), (2, "other.x")]
    assert names(outer) == ["shop.a", "shop.b", "shop.c", "shop.b"]


def test_a_right_is_told_by_the_arguments(tmp_path: Path) -> None:
    file = str(tmp_path / "f")
    with belljar.watching(right="write") as written, belljar.watching(right=["read"]) as read:
        open(file, "w").close()
        open(file).close()
        os.rename(file, file + "2")
    assert [(e.name, e.target) for e in written] == [("open", file), ("os.rename", file + "2")]
    assert [(e.name, e.target) for e in read] == [("open", file)]


def test_connecting_is_seen_and_shown() -> None:
    with belljar.watching(right="connect") as events, socket.socket() as one:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", 9))
    assert [event.target for event in events] == ["127.0.0.1:9"]
    assert repr(events) == "<watching: 1 events: ['socket.connect 127.0.0.1:9']>"


def test_stacks_are_kept_as_deep_as_asked() -> None:
    def inner() -> None:
        sys.audit("shop.deep")

    with belljar.watching(events="shop.*", stacks=2) as events:
        inner()
    with belljar.watching(events="shop.*") as flat:
        inner()
    (event,) = events
    assert [frame.function for frame in event.frames] == [
        "inner", "test_stacks_are_kept_as_deep_as_asked",
    ]  # fmt: skip
    assert [len(event.frames) for event in flat] == [0]


def test_what_finds_no_room_is_counted_and_missing_in_the_numbers() -> None:
    with belljar.watching(events="shop.*", room=4096) as events:
        for i in range(1000):
            sys.audit("shop.full", i)
        kept = events.take()
        assert 5 < len(kept) < 60
        assert events.drops == 1000 - len(kept)
        assert [event.seq for event in kept] == list(range(1, len(kept) + 1))
        sys.audit("shop.after")  # what was taken has made room
    assert [(event.name, event.seq) for event in events] == [("shop.after", 1001)]
    assert f"{1000 - len(kept)} lost" in repr(events)


def test_what_was_looked_at_and_not_taken_still_counts_towards_the_room() -> None:
    with belljar.watching(events="shop.*", room=4096) as events:
        for i in range(1000):
            sys.audit("shop.full", i)
            if i % 100 == 0:
                len(events)
    assert len(events) < 60


def test_reading_from_two_threads_gives_each_event_once() -> None:
    taken: list[int] = []
    with belljar.watching(events="shop.*", room=64 << 20) as events:

        def reader() -> None:
            while len(taken) < 2000:
                taken.extend(event.args[0] for event in events.take())

        readers = [threading.Thread(target=reader) for _ in range(3)]
        for thread in readers:
            thread.start()
        for i in range(2000):
            sys.audit("shop.n", i)
        for thread in readers:
            thread.join()
    assert sorted(taken) == list(range(2000))


def test_a_forked_child_has_a_copy_of_its_own() -> None:
    code = """
import belljar, os, sys, warnings
warnings.simplefilter("ignore")
with belljar.watching(events="shop.*") as events:
    sys.audit("shop.before")
    child = os.fork()
    sys.audit("shop.child" if child == 0 else "shop.parent")
if child == 0:
    before, own = events
    os._exit((before.name, own.name, own.pid) != ("shop.before", "shop.child", os.getpid()))
assert os.waitpid(child, 0)[1] == 0
print([e.name for e in events])
"""
    assert run_python(code) == "['shop.before', 'shop.parent']\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"events": "socket.conect"}, "near: socket.connect"),
        ({"events": ("open", "os.renam")}, "near: os.rename"),
        ({"right": "conect"}, "near: connect"),
        ({"events": "open", "right": "connect"}, "no event of these names"),
        ({"stacks": 33}, "stacks must be 0 to 32"),
        ({"stacks": -1}, "stacks must be 0 to 32"),
        ({"room": 10}, "at least 4096"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_what_is_near(options: dict, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        belljar.watching(**options)


def test_a_name_that_may_be_an_applications_only_warns_of_what_is_near() -> None:
    with pytest.warns(UserWarning, match=r"'sockt\.\*' is taken .*near: socket\.\*"):
        belljar.watching(events="sockt.*")
    belljar.watching(events=("app.*", "mail.send"))  # warnings are errors here


def test_it_is_entered_once() -> None:
    watching = belljar.watching(events="shop.*")
    with watching, pytest.raises(BelljarError, match="entered once"):
        watching.__enter__()
    with pytest.raises(BelljarError, match="entered once"):
        watching.__enter__()


def test_it_ends_with_the_block_that_an_exception_leaves() -> None:
    events = belljar.watching(events="shop.*")

    def act() -> None:
        with events:
            sys.audit("shop.one")
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        act()
    sys.audit("shop.two")
    assert names(events) == ["shop.one"]


def test_objects_of_the_program_are_not_kept_alive() -> None:
    class Thing:
        pass

    with belljar.watching(events="shop.*") as events:
        thing = Thing()
        sys.audit("shop.one", thing, [thing])
        del thing
        gc.collect()
        assert not [o for o in gc.get_objects() if type(o) is Thing]
    assert next(iter(events)).args == (TypeName("Thing"), (TypeName("Thing"),))


def test_an_exception_that_is_being_handled_stays() -> None:
    class Hostile:
        __class__ = property(lambda _: 1 / 0)  # type: ignore[assignment]

        def __repr__(self) -> str:
            raise AssertionError("asked")

    with belljar.watching(events="shop.*") as events:
        mine = KeyError("mine")
        try:
            raise mine
        except KeyError:
            sys.audit("shop.one", Hostile())
            handled = sys.exc_info()[1]
    assert handled is mine
    assert names(events) == ["shop.one"]


def test_a_hook_that_refuses_ours_is_told() -> None:
    code = """
import sys
def hook(name, args):
    if name == "sys.addaudithook":
        raise RuntimeError("no hooks here")
sys.addaudithook(hook)
import belljar
for backend in "native", "python":
    if backend == "python":
        import belljar._native
        belljar._native.RECORDER = "/nonexistent.so"
    try:
        with belljar.watching():
            print("silence")
    except belljar.BelljarError as error:
        print(error)
"""
    told = "cannot record this process: an audit hook of this process refused the recorder's\n"
    assert run_python(code) == told * 2


def test_under_belljar_watch_both_records_have_the_events(
    belljar: Callable[..., object], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import belljar, sys\n"
        "sys.audit('shop.before')\n"
        "with belljar.watching(events='shop.*') as events:\n"
        "    sys.audit('shop.inside', 5)\n"
        "print([(e.name, e.args, e.seq) for e in events], events.weaker)\n"
    )
    out = tmp_path / "out"
    done = belljar("watch", "--json", "--to", out, "--ledger", "none", script)  # type: ignore
    assert done.stdout == "[('shop.inside', (5,), 1)] \n", done.stderr
    record = out.read_text()
    assert record.count('"shop.inside"') == 1
    assert record.count('"shop.before"') == 1
    assert '"sys.addaudithook"' not in record  # it is the same hook


def test_the_package_says_its_type() -> None:
    import inspect

    signature = inspect.signature(belljar.watching)
    assert signature.return_annotation == "Watching"
    assert (Path(belljar.__file__).parent / "py.typed").exists()
