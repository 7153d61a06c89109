"""Host objects in a real sandbox: behind walls they work, and hostile frames get nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import belljar
from belljar import caps
from belljar.sandbox.bridge.guests import GuestFunction
from belljar.sandbox.live.ready import pool


@pytest.fixture
def box() -> Iterator[belljar.Sandbox]:
    with belljar.Sandbox(ledger="none") as one:
        yield one


class Orders:
    def __init__(self) -> None:
        self._secret = "the host's"

    def total(self, order: str) -> int:
        return len(order)

    def cancel(self, order: str) -> str:
        return self._secret


def test_a_guest_uses_what_is_shared_and_the_record_says_so(tmp_path: Path) -> None:
    with belljar.Sandbox(ledger=str(tmp_path / "ledger")) as box:
        orders = box.share("orders", Orders(), methods=["total"])
        assert box.eval("host.orders.total('a17')") == 3
        assert box.run("from belljar.guest import host as h\nh.orders.total('b')").value == 1
        denied = box.run("host.orders.cancel('a17')")
        assert "no attribute cancel is shared" in str(denied.error)
        raw = box.run("host._side._peer.request('call', (1, 'cancel', ('a17',), {}))")
        assert "AttributeError" in str(raw.error)
        assert [(d.right, d.target) for d in raw.denials] == [("call", "host.orders.cancel")]
        orders.revoke()
        late = box.run("host.orders.total('a')")
        assert "ReferenceError" in str(late.error)
        assert late.denials[0].decision.because == "it is not shared, or no longer"
    assert orders.calls == {"total": 2}


RAW = {
    "class": "('call', (1, '__class__', (), {}))",
    "globals": "('get', (1, 'total.__globals__'))",
    "dictionary": "('get', (1, '__dict__'))",
    "reduce": "('call', (1, '__reduce_ex__', (2,), {}))",
    "private": "('get', (1, '_secret'))",
    "unlisted": "('call', (1, 'cancel', ('x',), {}))",
    "private argument": "('call', (1, 'total', ('x',), {'_all': True}))",
    "another number": "('call', (2, 'cancel', ('x',), {}))",
}


@pytest.mark.parametrize("frame", RAW.values(), ids=[*RAW])
def test_a_frame_made_by_hand_reaches_nothing(box: belljar.Sandbox, frame: str) -> None:
    box.share("orders", Orders(), methods=["total"])
    assert box.eval("host.orders.total('a')") == 1
    result = box.run(f"host._side._peer.request(*{frame})")
    assert result.error is not None
    assert "the host's" not in str(result.error)
    assert [denial.right for denial in result.denials] == ["call"]
    assert box.eval("host.orders.total('ab')") == 2  # and the sandbox goes on


ENDS = {
    "no number": "request('call', ('1', 'total', (), {}))",
    "no tuple": "request('call', None)",
    "drops more than it has": "note('drop', (1, 99))",
    "drops what is not there": "note('drop', (7, 1))",
    "no pairs": "note('drop', (1,))",
}


@pytest.mark.parametrize("frame", ENDS.values(), ids=[*ENDS])
def test_a_frame_that_no_proxy_sends_ends_the_guest(box: belljar.Sandbox, frame: str) -> None:
    handle = box.share("orders", Orders(), methods=["total"])
    result = box.run(f"host.orders\nhost._side._peer.{frame}\nhost.orders.total('a')")
    assert (result.ended_by, box.ended_by) == ("protocol", "protocol")
    with pytest.raises(belljar.SandboxEnded):
        box.eval("1")
    box.close()
    assert handle.revoked


def test_functions_go_both_ways_behind_walls(box: belljar.Sandbox) -> None:
    box.share("tools", functions={"each": lambda call, items: [call(one) for one in items]})
    assert box.eval("host.tools.each(lambda x: x * x, [1, 2, 3])") == [1, 4, 9]
    double = box.eval("lambda x: 2 * x")
    assert type(double) is GuestFunction
    assert double(21) == 42
    box.run("def twice(f, x): return f(f(x))")
    assert box.call("twice", lambda x: x + 1, 1) == 3
    assert [*box.eval("(n for n in range(3))")] == [0, 1, 2]


def test_an_async_function_is_awaited_behind_walls(box: belljar.Sandbox) -> None:
    async def get(name: str) -> str:
        await asyncio.sleep(0)
        return name.upper()

    box.share("db", functions={"get": get})
    source = (
        "import asyncio\n"
        "async def main(): return await asyncio.gather(*map(host.db.aio.get, 'abc'))\n"
        "asyncio.run(main())"
    )
    assert box.run(source).value == ["A", "B", "C"]


def test_an_open_file_is_handed_over_through_the_walls(
    box: belljar.Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"of the host's")
    (tmp_path / "beside").write_bytes(b"secret")
    with open(tmp_path / "in", "rb") as read, open(tmp_path / "out", "wb") as write:
        box.share("data", read)
        box.share("report", write)
    assert box.eval("host.data.read()") == b"of the host's"
    box.run("host.report.write(b'42'); host.report.flush()").check()
    assert (tmp_path / "out").read_bytes() == b"42"
    for attack in (
        "os.write(fd, b'x')", "os.ftruncate(fd, 0)", "os.fchmod(fd, 0o777)",
        "os.open(f'/proc/self/fd/{fd}', os.O_RDWR)", "os.open('beside', 0, dir_fd=fd)",
        "os.open('..', 0, dir_fd=fd)", "os.setxattr(fd, 'user.x', b'y')",
    ):  # fmt: skip
        result = box.run(f"import os; fd = host.data.fileno(); {attack}")
        assert result.error is not None, attack
    assert (tmp_path / "in").read_bytes() == b"of the host's"
    assert (tmp_path / "in").stat().st_mode & 0o777 != 0o777


def test_a_socket_is_handed_over_and_leads_nowhere_else(box: belljar.Sandbox) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        with ours, theirs:
            box.share("line", theirs)
            box.run("host.line.sendall(b'hello')").check()
            assert ours.recv(5) == b"hello"
            place = other.getsockname()
            other.setblocking(False)
            for attack in (
                f"host.line.connect({place!r})", f"host.line.sendto(b'x', {place!r}) and 1/0",
                "host.line.listen()", "host.line.bind(('0.0.0.0', 0))",
            ):  # fmt: skip
                assert box.run(attack).error is not None, attack
            with pytest.raises(BlockingIOError):
                other.accept()


def test_stock_capabilities_work_behind_walls(box: belljar.Sandbox, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_bytes(b"1,2")
    box.share("data", caps.ReadDir(tmp_path / "data"))
    box.share("log", caps.AppendFile(tmp_path / "log"))
    assert box.eval("host.data.read(host.data.list()[0])") == b"1,2"
    assert box.eval("host.log.append('x')") == 1
    assert (tmp_path / "log").read_bytes() == b"x"
    with pytest.raises(belljar.GuestError, match="FileNotFoundError"):
        box.eval("host.data.read('../log')")


def test_what_belongs_to_one_sandbox_means_nothing_in_another(box: belljar.Sandbox) -> None:
    with belljar.Sandbox(ledger="none") as other:
        handle = box.share("orders", Orders(), methods=["total"])
        function = box.eval("lambda: 'of the first'")
        other.share("tools", functions={"leak": lambda: handle, "call": lambda: function})
        for name in ("leak", "call"):
            assert "TypeError" in str(other.run(f"host.tools.{name}()").error)
        with pytest.raises(TypeError):
            other.call("print", handle)
        other.share("borrowed", functions=function)
        assert other.eval("host.borrowed()") == "of the first"


def test_a_sandbox_that_is_closed_takes_all_back() -> None:
    kept: list[GuestFunction] = []
    pool().close()  # guests that are ready meanwhile are nobody's
    before = len(os.listdir("/proc/self/fd"))
    with belljar.Sandbox(ledger="none") as box:
        handle = box.share("keep", functions=kept.append)
        box.run("host.keep(len)").check()
    assert handle.revoked
    with pytest.raises((ReferenceError, belljar.BelljarError)):
        kept[0]("abc")
    del box, handle
    pool().close()
    assert len(os.listdir("/proc/self/fd")) <= before + 3  # the supervisor's own


def test_a_hosts_function_that_blocks_stops_no_other_sandbox(box: belljar.Sandbox) -> None:
    import threading

    began, go = threading.Event(), threading.Event()
    box.share("slow", functions=lambda: began.set() or go.wait(60))
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(box.eval("host.slow()")))
    thread.start()
    try:
        assert began.wait(60)
        with belljar.Sandbox(ledger="none") as other:
            assert other.eval("1 + 1") == 2
    finally:
        go.set()
        thread.join()
    assert found == [True]


def test_a_part_of_a_call_in_another_thread_may_ask_the_guest(box: belljar.Sandbox) -> None:
    """It does not wait for the turn of the call that waits for it."""
    functions = {"plain": lambda: box.eval("1 + 1"), "call": lambda call: call(20)}
    limits = {name: belljar.Limit(seconds=60) for name in functions}
    box.share("tools", functions=functions, limits=limits)
    assert box.eval("host.tools.plain(), host.tools.call(lambda x: x + 1)") == (2, 21)

    async def main() -> object:
        async with belljar.AsyncSandbox(ledger="none") as other:

            async def nested(call: GuestFunction) -> object:
                both = await asyncio.gather(other.eval("3 * 3"), call.aio(1))
                return [*both, await other.eval("host.nested2(4)")]

            await other.share("nested", functions=nested)
            await other.share("nested2", functions=lambda n: n * 2)
            return await other.eval("host.nested(lambda x: -x)")

    assert asyncio.run(main()) == [9, -1, 8]


def test_a_coroutine_that_never_ends_is_cancelled_with_its_guest() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("yes")

    with belljar.Sandbox(ledger="none", wall="1s") as box:
        box.share("wait", functions=wait)
        assert box.run("host.wait()").ended_by == "wall"
    assert ended == ["yes"]
