"""Run a program under `belljar watch` and see which rules fired."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_COMMAND = "import sys; from belljar.cli.watch import main; sys.exit(main(sys.argv[1:]))"
_HEAD = re.compile(r"^(alert|denied|killed)\[([^\]]+)\]: (.*)$", re.MULTILINE)


class Fired:
    """A watched program that ended: which rules fired, in order, and how it ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        found = _HEAD.findall(done.stderr)
        self.rules = [rule for _, rule, _ in found]
        self.kinds = [kind for kind, _, _ in found]
        self.what = [text.partition(") ")[2] for _, _, text in found]


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., Fired]:
    """`watch("print(1)")` runs the text as `job.py` in an empty directory."""

    def run(program: str, *options: str, env: dict[str, str] | None = None) -> Fired:
        (tmp_path / "job.py").write_text(program)
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, "--fail-on", "alert", *options, "job.py"],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                "PATH": "/usr/bin:/bin",
                "HOME": str(tmp_path / "home"),
                "XDG_STATE_HOME": str(tmp_path / "state"),
                **(env or {}),
            },
            timeout=60,
        )
        return Fired(done)

    return run


@pytest.fixture
def fires(watch: Callable[..., Fired], request: pytest.FixtureRequest) -> Callable[..., Fired]:
    """Like `watch`; the rule that the test's file is named for fired, and no other."""
    rule = request.path.stem.removeprefix("test_").replace("_", "-")

    def run(program: str, **options: dict[str, str]) -> Fired:
        fired = watch(program, **options)
        assert set(fired.rules) == {rule}, fired.stderr
        assert fired.status == 123, fired.stderr
        return fired

    return run


@pytest.fixture
def quiet(watch: Callable[..., Fired]) -> Callable[..., Fired]:
    """Like `watch`; no rule fired, and the program went well."""

    def run(program: str, **options: dict[str, str]) -> Fired:
        fired = watch(program, **options)
        assert (fired.rules, fired.status) == ([], 0), fired.stderr
        return fired

    return run
