"""Sandboxes that a guest asks for: within its own grants, ended with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import belljar

LONG = 60.0  # seconds; this machine may do much else
ASK = "from belljar.guest import Sandbox\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name, "utf-8")
    return tmp_path


@pytest.fixture
def box(data: Path) -> Iterator[belljar.Sandbox]:
    reads = {"/a": str(data / "a"), "/b": str(data / "b")}
    with belljar.Sandbox(read=reads, memory="512M", ledger="none") as one:
        yield one


def test_a_guest_has_a_sandbox_of_its_own(box: belljar.Sandbox) -> None:
    source = ASK + (
        "with Sandbox(read='/a') as inner:\n"
        "    inner.put('x', [1, 2])\n"
        "    inner.run('def f(n, call=None): return (n + len(x), call and call(n))')\n"
        "    found = inner.call('f', 3, call=lambda n: n * 10), inner.eval('x'), inner.get('x')\n"
        "    ran = inner.run('print(open(\"/a/file\").read()); 1/0')\n"
        "    inner.share('mine', {'double': lambda n: 2 * n})\n"
        "    through = inner.eval('host.mine.double(21)')\n"
        "found, ran['error'], ran['stdout'], through"
    )
    found, error, out, through = box.run(source).check().value
    assert found == ((5, 30), [1, 2], [1, 2])
    assert error == ("ZeroDivisionError", "division by zero")
    assert out == b"a\n"
    assert through == 42


def test_it_has_what_was_passed_on_and_no_more(box: belljar.Sandbox) -> None:
    source = ASK + (
        "inner = Sandbox(read=['/a'])\n"
        "[inner.run('open(%r).read()' % p)['error'] for p in ('/a/file', '/b/file')]"
    )
    first, second = box.run(source).check().value
    assert first is None
    assert second[0] == "FileNotFoundError"


SPIN = "while True: pass"


@pytest.fixture
def limited(data: Path) -> Iterator[belljar.Sandbox]:
    reads = {"/a": str(data / "a")}
    with belljar.Sandbox(
        read=reads, memory="512M", cpu=1, output="100K", processes=3, ledger="none"
    ) as one:
        yield one


def test_its_processor_time_is_the_outer_ones(limited: belljar.Sandbox) -> None:
    source = ASK + (
        "for n in range(20):\n"
        "    with Sandbox(read='/a', cpu=0.7) as inner:\n"
        "        inner.run('import time\\nwhile time.process_time() < 0.4: pass')"
    )
    result = limited.run(source)
    assert result.ended_by == "cpu"
    assert result.usage.cpu > 1


def test_what_spins_in_it_between_calls_is_the_outer_ones(limited: belljar.Sandbox) -> None:
    begin = f"import threading; threading.Thread(target=exec, args=({SPIN!r},)).start()"
    limited.run(ASK + f"inner = Sandbox(read='/a')\ninner.run({begin!r})")
    deadline = time.monotonic() + LONG
    while not limited.ended_by and time.monotonic() < deadline:
        time.sleep(0.05)
    assert limited.ended_by == "cpu"


def test_its_output_is_the_outer_ones(limited: belljar.Sandbox) -> None:
    source = ASK + (
        "for n in range(20):\n"
        "    with Sandbox(read='/a') as inner:\n"
        "        inner.run('print(\"x\" * 30000)')"
    )
    assert limited.run(source).ended_by == "output"


def test_its_processes_are_the_outer_ones(limited: belljar.Sandbox) -> None:
    source = ASK + (
        "first = Sandbox(read='/a', processes=2)\n"
        "second = Sandbox(read='/a', processes=2)\n"
        "third = Sandbox(read='/a')\n"
        "try: Sandbox(read='/a', processes=2)\n"
        "except PermissionError as error: refused = str(error)\n"
        "refused"
    )
    assert limited.run(source).check().value == "its sandboxes together may start no more processes"


MORE = {
    "a path that is not its own": "read=['/etc']",
    "a part of one": "read=['/a/file']",
    "the parent of one": "read=['/']",
    "another right": "write=['/a']",
    "a mapping": "read={'/x': '/etc'}",
    "an optional one": "read=['-/etc']",
    "dots": "read=['/a/../etc']",
    "an address": "connect=['127.0.0.1:80']",
    "a module": "import_=['numpy']",
    "a program": "run=['/bin/sh']",
    "the environment": "env={'HOME': True}",
    "more memory": "memory='4G'",
    "more time": "wall=1e9",
    "no number": "wall=float('nan')",
    "a device": "devices=['/dev/null']",
    "bytecode": "bytecode=True",
    "no ledger": "ledger='none'",
    "no key": "nonsense=1",
    "a listener": "bind=['127.0.0.1:80']",
}


@pytest.mark.parametrize("asked", MORE.values(), ids=[*MORE])
def test_more_than_the_guest_has_it_cannot_pass_on(box: belljar.Sandbox, asked: str) -> None:
    error = box.run(ASK + f"Sandbox({asked})").error
    assert error is not None
    assert error.type_name == "PermissionError"
    assert str(box.policy.grants[0].source) not in error.message


def test_a_body_that_is_no_grants_is_refused(box: belljar.Sandbox) -> None:
    for body in ("None", "[1]", "{1: 2}", "{'read': [[]]}", "{'read': 7}", "{'memory': {}}"):
        error = box.run(f"host._side.ask('box', {body})").error
        assert error is not None
        assert error.type_name == "PermissionError", body


def test_a_place_that_the_guest_may_replace_is_not_passed_on(data: Path) -> None:
    (data / "a" / "sub").mkdir()
    grants = {"write": [str(data / "a")], "read": [str(data / "a" / "sub"), str(data / "b")]}
    with belljar.Sandbox(ledger="none", **grants) as box:
        error = box.run(ASK + f"Sandbox(read={str(data / 'a' / 'sub')!r})").error
        assert error is not None
        assert error.type_name == "PermissionError"
        box.run(ASK + f"Sandbox(read={str(data / 'b')!r}).close()").check()


def test_memory_and_number_are_those_of_the_outermost(box: belljar.Sandbox) -> None:
    source = ASK + (
        "kept = []\n"
        "try:\n"
        "    while True: kept.append(Sandbox())\n"
        "except PermissionError as error: why = str(error)\n"
        "count = len(kept)\n"
        "kept.pop().close()\n"
        "kept.append(Sandbox(memory='64M'))\n"
        "ask = 'from belljar.guest import Sandbox; Sandbox(memory=\"96M\")'\n"
        "deep = kept[-1].run(ask)['error']\n"
        "count, why, deep"
    )
    count, why, deep = box.run(source).check().value
    assert (count, why) == (4, "its sandboxes together may have no more memory")
    assert deep[0] == "PermissionError"


def test_they_end_with_the_guest_that_asked() -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.run(ASK + "inner = Sandbox()").check()
        (shared,) = box._asking.objects.shared.values()
        assert shared.name == "sandbox"  # in the record: host.sandbox.run
        assert shared.obj.eval("1 + 1") == 2
    assert shared.obj.box._guest.over.wait(60)  # the supervisor sees to it
    assert shared.obj.ended
    with pytest.raises(belljar.BelljarError):
        shared.obj.eval("1")


def test_they_end_when_they_are_forgotten(box: belljar.Sandbox) -> None:
    source = ASK + "for n in range(9): Sandbox(memory='128M')"  # four have room at once
    box.run(source + "\nhost._side.give_back()").check()
    assert not box._asking.objects.shared
    box.run(ASK + "kept = [Sandbox(memory='128M') for n in range(4)]").check()
