"""Whoever starts a granted Python, and however, its recorder comes along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiers import MAIN

#: Past the recorder's part of the C library: a system call, with an environment of one's own.
EXEC = """
import ctypes, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
words = lambda *texts: (ctypes.c_char_p * (len(texts) + 1))(*texts, None)
path, given = sys.executable.encode(), [text.encode() for text in sys.argv[1:]]
code = b"import sys; sys.audit('said.by.' + 'the.child', 1); print('RAN', flush=True)"
argv = words(path, b"-I", b"-S", b"-c", code)
libc.syscall(59 if platform.machine() == "x86_64" else 221, path, argv, words(*given))
print(os.strerror(ctypes.get_errno()))
"""


def recorded(ledger: Path) -> str:
    from belljar.ledger.entries import expand
    from belljar.ledger.reader import Reader

    with Reader(str(ledger)) as reader:
        return "\n".join(repr(entry) for record in reader.records() for entry in expand(record))


def run(tmp_path: Path, flags: list[str], source: str, *words: str) -> tuple[str, str]:
    script = tmp_path / "starts.py"
    script.write_text(source)
    ledger = tmp_path / "ledger"
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "run", "--ledger", str(ledger), *flags, str(script), *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,  # with an environment beside us, that one's interpreter would be the guest's
    )
    return done.stdout + done.stderr, recorded(ledger)


@pytest.mark.parametrize(
    "given", [[], ["BELLJAR_TEMPLATE=1"], ["BELLJAR_CHANNEL=/dev/null", "BELLJAR_STRICT=0"]]
)
def test_a_python_that_native_code_starts_has_its_recorder(
    given: list[str], tmp_path: Path
) -> None:
    python = os.path.realpath(sys.executable)
    flags = ["--import", "ctypes", "--run", python]
    out, record = run(tmp_path, flags, EXEC, *given)
    assert "RAN" in out, out
    assert "said.by.the.child" in record


def test_a_python_that_a_program_starts_with_no_environment_has_its_recorder(
    tmp_path: Path,
) -> None:
    python = os.path.realpath(sys.executable)
    code = "import sys; sys.audit('said.by.' + 'the.child', 1); print('RAN')"
    source = f"""
import subprocess, sys
subprocess.run(["/usr/bin/env", "-i", sys.executable, "-I", "-S", "-c", {code!r}], check=True)
"""
    out, record = run(tmp_path, ["--run", python, "--run", "env"], source)
    assert "RAN" in out, out
    assert "said.by.the.child" in record


def test_a_granted_etc_is_the_hosts(tmp_path: Path) -> None:
    """And what Python code starts is recorded there, too."""
    python = os.path.realpath(sys.executable)
    code = "import sys; sys.audit('said.by.' + 'the.child', 1); print('RAN')"
    source = f"""
import subprocess, sys
subprocess.run([sys.executable, "-I", "-S", "-c", {code!r}], env={{}}, check=True)
"""
    out, record = run(tmp_path, ["--read", "/etc", "--run", python], source)
    assert "RAN" in out, out
    assert "said.by.the.child" in record


def test_a_python_started_after_narrowing_has_its_recorder(tmp_path: Path) -> None:
    python = os.path.realpath(sys.executable)
    narrowed = (
        """
import sys
from belljar.guest import narrow
import ctypes, os, platform
narrow(run=[sys.executable], import_=["ctypes"])
"""
        + EXEC
    )
    flags = ["--import", "ctypes", "--run", python]
    out, record = run(tmp_path, flags, narrowed)
    assert "RAN" in out, out
    assert "said.by.the.child" in record


def test_multiprocessing_works_where_the_interpreter_is_granted_too(tmp_path: Path) -> None:
    """`forkserver`, from 3.14 the usual way, listens on a socket, which no guest may."""
    source = (
        "import multiprocessing\n"
        "if __name__ == '__main__':\n"
        "    for method in ('spawn', 'forkserver'):\n"
        "        with multiprocessing.get_context(method).Pool(1) as pool:\n"
        "            print(method, pool.map(abs, [-1]))\n"
    )
    python = os.path.realpath(sys.executable)
    out, _ = run(tmp_path, ["--processes", "8", "--run", python], source)
    assert out.splitlines() == ["spawn [1]", "forkserver [1]"]
