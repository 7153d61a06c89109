"""What may be imported is decided by who imports: looked at from inside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numpy")
COMMAND = [sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())"]
TRY = """
def tell(deed):
    try:
        deed()
        print("had")
    except (ImportError, OSError) as error:
        print(error)
"""
UNSAFE = (
    "{} is outside the safe set of the standard library; the grant that allows it is --import {}"
)


def inside(env: dict[str, str], place: Path, code: str, *flags: str) -> list[str]:
    """The lines that `code`, which may `tell`, prints in a guest."""
    run = subprocess.run(
        [*COMMAND, "run", "--ledger", "none", "--quiet", *flags, "-c", TRY + code],
        env=env, cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_what_the_library_tries_and_does_without_is_no_denial(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """CPython 3.14's concurrent.futures asks for other interpreters, and so does asyncio."""
    tries = "try: import _interpreters\\nexcept ImportError: print('none')"
    code = f"""
import asyncio, concurrent.futures
exec(compile("{tries}", concurrent.futures.__file__, "exec"))
"""
    own = f'import concurrent\nexec("{tries}")'
    argv = [*COMMAND, "run", "--ledger", "none", "-c"]
    for one, denials in (code, 0), (own, 1):
        run = subprocess.run(
            [*argv, one], env=clean_env, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert run.stdout == "none\n"
        assert run.stderr.count("denied[import]") == denials, run.stderr


def test_what_a_named_distribution_has_loaded_is_not_for_the_program(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    code = """
import importlib, sys, numpy
assert numpy.ctypeslib and "ctypes" in sys.modules
tell(lambda: __import__("ctypes"))
tell(lambda: importlib.import_module("ctypes"))
tell(lambda: exec("from ctypes import CDLL"))
tell(lambda: exec("import ctypes.util as util"))
tell(lambda: __import__("multiprocessing.sharedctypes"))
"""
    assert inside(clean_env, tmp_path, code, "--import", "numpy") == [
        *[UNSAFE.format("ctypes", "ctypes")] * 3,
        UNSAFE.format("ctypes.util", "ctypes"),
        UNSAFE.format("ctypes", "ctypes"),
    ]
    both = inside(clean_env, tmp_path, code, "--import", "numpy,ctypes")
    assert both == ["had"] * 5


def test_a_named_distribution_does_not_bring_one_that_is_not_named(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    code = """
import numpy
tell(lambda: exec(compile("import msgspec", numpy.__file__, "exec")))
"""
    (told,) = inside(clean_env, tmp_path, code, "--import", "numpy")
    assert told.endswith(
        "native code that no grant names; the grant that allows it is --import msgspec"
    )


def test_the_library_uses_for_itself_what_the_program_may_not(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    code = """
import subprocess, multiprocessing.util, sys
tell(lambda: __import__("_posixsubprocess").fork_exec)
tell(lambda: exec("from _posixsubprocess import fork_exec"))
tell(lambda: sys.modules["_posixsubprocess"].fork_exec)
tell(lambda: subprocess.run([sys.executable]))
"""
    told = inside(clean_env, tmp_path, code)
    assert told[:3] == [UNSAFE.format("_posixsubprocess", "_posixsubprocess")] * 3
    assert told[3].startswith("[Errno 1")  # it got as far as the wall
    granted = inside(clean_env, tmp_path, code, "--import", "_posixsubprocess")
    assert granted[:3] == ["had"] * 3


def test_named_means_named_for_the_library_as_well(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    folder = next(Path(entry) for entry in sys.path if entry.endswith("lib-dynload"))
    here = sorted(path.name.partition(".")[0] for path in folder.glob("*.so"))
    one, other = (n for n in here if n in ("_queue", "_lsprof"))  # built in elsewhere: no file
    code = f'tell(lambda: __import__("{one}"))\ntell(lambda: __import__("{other}"))\n'
    assert inside(clean_env, tmp_path, code) == ["had", "had"]
    strict = ("--extensions", "named", "--import", one)
    told = inside(clean_env, tmp_path, code, *strict)
    assert told == ["had", UNSAFE.format(other, other)]


def test_blocked_is_blocked_whoever_asks_and_whatever_is_granted(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    code = """
import sys
tell(lambda: __import__("ctypes"))
tell(lambda: __import__("os.path"))
tell(lambda: __import__("tempfile"))
tell(lambda: __import__("numpy"))
"""
    flags = ("--import", "ctypes,numpy", "--block", "ctypes,os,numpy")
    assert inside(clean_env, tmp_path, code, *flags) == [
        "ctypes is blocked by the policy",
        "os.path is blocked by the policy",
        "os is blocked by the policy",
        "numpy is blocked by the policy",
    ]


def test_everything_is_everything(clean_env: dict[str, str], tmp_path: Path) -> None:
    code = 'tell(lambda: __import__("ctypes").CDLL(None))\ntell(lambda: __import__("msgspec"))\n'
    assert inside(clean_env, tmp_path, code, "--extensions", "all") == ["had", "had"]
