"""What was learned from an ordinary program is enough for it: watch, policy, run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from test_honest import COMMAND, PROGRAMS, Program, clear, lay_out, port, root, start

__all__ = ["port", "root"]  # fixtures

#: Programs whose policy needs something that no event tells, and the flags that say it.
UNTOLD = {
    "environment": ["--env", "GREETING", "--env", "PASSED"],  # reads raise no event
    "shell_pipeline": ["--run", "/usr/bin/tr"],  # started by a shell, which is not Python
}


@pytest.mark.parametrize("root", ["tmp", "var"], indirect=True)
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_the_learned_policy_is_enough(
    path: Path, root: Path, port: int, clean_env: dict[str, str]
) -> None:
    program = Program(
        path, {"data": str(root / "data"), "out": str(root / "out"), "port": str(port)}
    )
    lay_out(root, path)
    env = {**clean_env, "PYTHONDONTWRITEBYTECODE": "1"}
    words = [*program.words, *program.args]
    ledger, policy = str(root / "ledger"), str(root / "learned.toml")
    learning = start(
        [*COMMAND, "learn", "--ledger", ledger, "-o", policy, *words], program, root, env
    )
    assert learning.returncode == 0, learning.stderr
    text = Path(policy).read_text()
    clear(root)
    check = subprocess.run(
        [*COMMAND, "policy", "check", policy], env=env, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, text + check.stderr
    more = ["--ledger", ledger, "--result", str(root / "result.json"), *UNTOLD.get(path.stem, [])]
    inside = start([*COMMAND, "run", "--policy", policy, *more, *words], program, root, env)
    status = program.status if program.status >= 0 else 128 - program.status
    assert inside.returncode == status, text + inside.stderr
    if program.ends_with:
        assert inside.stdout.endswith(program.prints), text
    else:
        assert inside.stdout == program.prints, text + inside.stderr
    result = json.loads((root / "result.json").read_text())
    assert (result["denials"], result["missed"]) == ([], 0), text
