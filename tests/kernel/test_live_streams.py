"""Standard streams of a live sandbox: captured, files, functions of the owner's."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import belljar
from belljar.errors import BelljarError


def test_output_is_heard_by_functions_as_it_comes_and_is_in_the_result_as_well() -> None:
    out: list[bytes] = []
    err: list[bytes] = []
    both: list[tuple[int, bytes]] = []
    source = "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')"
    result = belljar.run(
        source, ledger="none", stdout=out.append, stderr=err.append,
        on_output=lambda number, data: both.append((number, data)),
    )  # fmt: skip
    assert (result.stdout, result.stderr) == (b"one\nthree\n", b"two\n")
    assert (b"".join(out), b"".join(err)) == (b"one\nthree\n", b"two\n")
    assert b"".join(data for number, data in both if number == 1) == b"one\nthree\n"


def test_a_line_is_heard_before_the_call_ends() -> None:
    heard = threading.Event()
    with belljar.Sandbox(ledger="none", stdout=lambda _data: heard.set()) as box:
        shared = box.share("owner", functions={"waited": lambda: heard.wait(60)})
        assert box.run("print('a line')\nhost.owner.waited()").value is True
        shared.revoke()


def test_input_comes_from_a_function_until_it_gives_nothing() -> None:
    pieces = iter(["one\n", b"two", "\n" + "x" * 200_000 + "\n", ""])
    with belljar.Sandbox(ledger="none", stdin=lambda: next(pieces)) as box:
        assert box.eval("input()") == "one"
        assert box.eval("input()") == "two"
        assert box.eval("len(__import__('sys').stdin.read())") == 200_001


def test_input_may_depend_on_what_was_said() -> None:
    asked = threading.Event()

    def answer() -> str:
        return "yes\n" if asked.wait(60) else ""

    source = "print('sure?')\ninput() + '!'"
    with belljar.Sandbox(ledger="none", stdin=answer, stdout=lambda _data: asked.set()) as box:
        assert box.run(source).value == "yes!"


def test_a_guest_that_does_not_read_holds_nobody_up() -> None:
    with belljar.Sandbox(ledger="none", stdin=lambda: "x" * 10_000) as box:
        assert box.eval("1") == 1
    assert not [t for t in threading.enumerate() if t.name == "belljar-input"]


@pytest.mark.parametrize(
    ("given", "error"),
    [({"stdin": lambda: 5}, TypeError), ({"stdout": lambda _data: 1 / 0}, ZeroDivisionError)],
)
def test_what_a_function_raises_ends_the_guest(given: Any, error: type[Exception]) -> None:
    with belljar.Sandbox(ledger="none", **given) as box, pytest.raises(error):
        box.run("print('x')\nwhile True: pass", timeout=60)
    assert box.ended_by == "failed"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"stdin": lambda: "", "input": "x"}, "leave out one"),
        ({"stdout": print, "policy": belljar.Policy(stdout="inherit")}, "is no capture"),
    ],
)
def test_streams_that_are_said_twice_are_refused(given: dict[str, Any], line: str) -> None:
    with pytest.raises(BelljarError, match=line):
        belljar.Sandbox(ledger="none", **given)


def test_streams_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("from a file\n")
    files = {"stdin": "in.txt", "stdout": "out.txt", "stderr": "err.txt"}
    paths = {name: str(tmp_path / file) for name, file in files.items()}
    source = "import sys\nprint(input().upper())\nprint('wrong', file=sys.stderr)"
    result = belljar.run(source, ledger="none", **paths)
    assert (result.error, result.stdout, result.stderr) == (None, b"", b"")
    assert (tmp_path / "out.txt").read_text() == "FROM A FILE\n"
    assert (tmp_path / "err.txt").read_text() == "wrong\n"
    assert result.receipt.level("output") == "full"


def test_output_into_a_file_is_counted(tmp_path: Path) -> None:
    to = tmp_path / "out.txt"
    with belljar.Sandbox(ledger="none", stdout=str(to), output="64K") as box:
        result = box.run("while True: print('x' * 1000)", timeout=60)
    assert result.ended_by == "output"
    assert to.stat().st_size == 65536


@pytest.mark.parametrize("engine", ["cold", None])
def test_callbacks_hear_both_streams_in_the_order_in_which_they_were_written(
    engine: str | None,
) -> None:
    heard: list[tuple[int, bytes]] = []
    own: list[bytes] = []
    code = """
import sys
for n in range(300):
    print("out", n)
    sys.stderr.write("err ")
    print(n, file=sys.stderr)
"""
    with belljar.Sandbox(
        ledger="none", engine=engine, on_output=lambda *piece: heard.append(piece),
        stdout=own.append, stderr=own.append,
    ) as box:  # fmt: skip
        result = box.run(code)
    written = b"".join(b"out %d\nerr %d\n" % (n, n) for n in range(300))
    assert b"".join(data for _, data in heard) == b"".join(own) == written
    assert result.text.encode() == written
    assert b"".join(data for number, data in heard if number == 1).startswith(b"out 0\nout 1\n")


def test_a_large_text_is_heard_whole() -> None:
    heard: list[bytes] = []
    with belljar.Sandbox(ledger="none", stdout=heard.append) as box:
        assert box.run("import sys\nsys.stdout.write('x' * 3_000_000)").value == 3_000_000
        box.run("print('end', file=sys.stderr); sys.stdout.close()")
    assert b"".join(heard) == b"x" * 3_000_000
