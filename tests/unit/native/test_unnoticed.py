"""What CPython's own tests found: a recorded program must not notice the recorder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from belljar.watch.run import watch


def recorded(code: str, **variables: str) -> int:
    """The exit status of a Python that runs `code` under the recorder."""
    environ = {"PATH": os.environ["PATH"], **variables}
    ended = watch([sys.executable, "-I" if not variables else "-s", "-c", code], environ, no_more)
    assert ended.events > 0
    return ended.status


def no_more(_chunks: object) -> None:
    """The record itself is not what is tested."""


@pytest.mark.parametrize("allocator", ["debug", "malloc_debug", "pymalloc_debug", "malloc"])
def test_a_debugging_allocator_ends_in_order(allocator: str) -> None:
    assert recorded("import os; os.fork()", PYTHONMALLOC=allocator) == 0


def test_development_mode_ends_in_order() -> None:
    assert recorded("raise SystemExit(7)", PYTHONDEVMODE="1") == 7


FDS = """
import os
found = []
for fd in range(4096):
    try:
        os.fstat(fd)
        found.append(fd)
    except OSError:
        pass
open({!r}, "w").write(repr(found))
"""


def test_the_descriptor_of_the_record_is_not_there_for_the_program(tmp_path: Path) -> None:
    with_it, without = FDS.format(str(tmp_path / "with")), FDS.format(str(tmp_path / "without"))
    assert recorded(with_it) == 0
    os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-I", "-c", without], {}), 0)
    assert (tmp_path / "with").read_text() == (tmp_path / "without").read_text() != "[]"


def test_nothing_is_lost_in_a_directory_whose_name_is_no_text(
    tmp_path: Path, record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"no\xfftext\xed\xa0\x80")
    os.mkdir(folder)
    monkeypatch.chdir(os.fsdecode(folder))
    done = record([sys.executable, "-S", "-c", "open('x', 'w')", os.fsdecode(b"\xc0\xaf\xf5")])
    assert done.findings == []
    assert done.hellos[0].cwd == os.fsdecode(folder)
    assert done.hellos[0].argv[-1] == os.fsdecode(b"\xc0\xaf\xf5")
    assert [e.target for e in done.named("open")][-1] == os.path.join(os.fsdecode(folder), "x")
