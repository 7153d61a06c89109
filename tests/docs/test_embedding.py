"""The program of docs/embedding.md is compiled and run; what it says of the record is so."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from examples import ROOT, blocks

import belljar

COMPILER = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or "gcc"]


def libpython() -> str:
    """A shared libpython of this machine."""
    folders = [sysconfig.get_config_var("LIBDIR") or "", "/usr/lib/x86_64-linux-gnu"]
    for folder in folders:
        for path in sorted(Path(folder).glob("libpython3.*.so.1.0")):
            return str(path)
    pytest.skip("no shared libpython here")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("embedding")
    (block,) = [b for b in blocks(ROOT / "docs" / "embedding.md") if b.file == "app.c"]
    source, program = place / "app.c", place / "app"
    source.write_text(block.text, "utf-8")
    strict = ["-Wall", "-Wextra", "-Werror"]
    command = [
        *COMPILER,
        *strict,
        str(source),
        "-o",
        str(program),
        f"-I{belljar.get_include()}",
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return program


def watched(tmp_path: Path, *words: str) -> list[dict]:
    out = tmp_path / "record"
    argv = ["watch", "--json", "--to", str(out), "--ledger", "none", "--", *words]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(belljar.__file__).parents[1])}
    code = "import sys; from belljar.cli import main; sys.exit(main())"
    run = subprocess.run(
        [sys.executable, "-c", code, *argv],
        env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert run.stdout == "app: done\n", run.stderr
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_the_pages_program_is_recorded_from_its_initialisation_to_its_end(
    app: Path, tmp_path: Path
) -> None:
    record = watched(tmp_path, str(app), libpython())
    assert [line["kind"] for line in record].count("hello") == 1
    assert record[-1]["kind"] == "bye"
    names = [line["name"] for line in record if line["kind"] == "event"]
    assert len(names[: names.index("app.started")]) > 20  # the interpreter's own start
    assert "cpython._PySys_ClearAuditHooks" in names  # and its end


def test_without_anybody_who_watches_the_pages_program_just_runs(app: Path) -> None:
    run = subprocess.run([str(app), libpython()], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("app: done\n", "")
