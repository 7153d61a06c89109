"""What was learned from an ordinary program is enough for it: watch, policy, run."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_honest import CASES, COMMAND, Program, clear, lay_out, port, root, start, web

__all__ = ["port", "root", "web"]  # fixtures

#: Programs whose policy needs something that no event tells, and the flags that say it.
UNTOLD = {
    "environment": ["--env", "GREETING", "--env", "PASSED"],  # reads raise no event
    "sort_by_program": ["--read", "{data}"],  # read by the program that is started
    "pickles": ["--bytecode"],  # events do not tell whether the library makes code, or who uses it
    "net_own_server": ["--bind", "127.0.0.1:0", "--connect", "127.0.0.1:*"],  # any port
    "shell_pipeline": ["--run", "/usr/bin/tr"],  # started by a shell, which is not Python
}

#: Outside it executes the interpreter, which learn grants; granted that, its fork server listens on
#: a Unix socket inside, which no grant gives. With `--processes` alone it works (test_honest).
NOT_LEARNED = {"process_pools"}
LEARNED = [case for case in CASES if case.values[0].stem not in NOT_LEARNED]


@pytest.mark.parametrize(("path", "root"), LEARNED, indirect=["root"])
def test_the_learned_policy_is_enough(
    path: Path, root: Path, port: int, web: int, clean_env: dict[str, str]
) -> None:
    places = {name: str(root / name) for name in ("data", "out")}
    program = Program(path, {**places, "port": str(port), "http": str(web)})
    if any(find_spec(name) is None for name in program.needs) or program.asks_more:
        pytest.skip("not installed, or it asks for what it can do without")
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
    untold = [word.replace("{data}", places["data"]) for word in UNTOLD.get(path.stem, [])]
    more = ["--ledger", ledger, "--result", str(root / "result.json"), *untold]
    inside = start([*COMMAND, "run", "--policy", policy, *more, *words], program, root, env)
    status = program.status if program.status >= 0 else 128 - program.status
    assert inside.returncode == status, text + inside.stderr
    if program.ends_with:
        assert inside.stdout.endswith(program.prints), text
    else:
        assert inside.stdout == program.prints, text + inside.stderr
    result = json.loads((root / "result.json").read_text())
    assert (result["denials"], result["missed"]) == ([], 0), text
