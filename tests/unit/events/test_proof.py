"""The quick part of `make prove`: a few of CPython's own test modules with and without it,
and the search of the machine code, on the interpreter that runs this test."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import cannot

TOOL = Path(__file__).parents[3] / "tools" / "prove"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_cpythons_own_tests_show_nothing_that_the_catalogue_does_not_say(tmp_path: Path) -> None:
    program = str(Path(sys.executable).resolve())  # the tests are the interpreter's, not the venv's
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('test.test_audit') is None)"
    if subprocess.run([program, "-I", "-c", code], check=False).returncode:
        cannot(f"{program} comes without its own tests (Debian: libpython3-testsuite)")
    done = subprocess.run(
        [sys.executable, str(TOOL), "--quick", "--python", program, "--to", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = [json.loads(path.read_text("utf-8")) for path in tmp_path.glob("*.json")]
    if platform.machine() == "x86_64":  # the only machine code that the tool can read
        assert len(result["strings"]) > 95
    assert result["unknown"] == []
    assert len(result["counts"]) > 40 or "test_glob" in result["missing"]
