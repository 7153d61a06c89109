"""`belljar learn` from end to end: watch, policy, run; denials, secrets, mistakes."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """\
import pathlib, sys
text = pathlib.Path("data/in.txt").read_text()
pathlib.Path("out/result.txt").write_text(text.upper())
print("done", *sys.argv[1:])
"""


@pytest.fixture
def here(outside_tmp: Path) -> Path:
    """A project: a script, its data, a place for results."""
    for name in ("data", "out"):
        (outside_tmp / name).mkdir()
    (outside_tmp / "data/in.txt").write_text("text\n")
    (outside_tmp / "job.py").write_text(PROGRAM)
    return outside_tmp


def grants(path: Path) -> dict[str, object]:
    return {k: v for k, v in tomllib.loads(path.read_text()).items() if k != "schema"}


def test_the_loop_closes_learn_then_run(belljar: Callable, here: Path) -> None:
    ledger = ["--ledger", here / "ledger"]
    learned = belljar("learn", *ledger, "-o", "policy.toml", "job.py", "now", cwd=here)
    assert (learned.status, learned.stdout) == (0, "done now\n")
    assert "job.py now runs UNRESTRICTED" in learned.stderr.splitlines()[0]
    assert grants(here / "policy.toml") == {"files": {"read": ["data/in.txt"], "write": ["out"]}}
    os.unlink(here / "out/result.txt")
    inside = belljar("run", *ledger, "--policy", "policy.toml", "job.py", "now", cwd=here)
    assert (inside.status, inside.stdout, inside.stderr) == (0, "done now\n", "")
    assert (here / "out/result.txt").read_text() == "TEXT\n"


def test_without_o_standard_output_is_the_policy_alone(belljar: Callable, here: Path) -> None:
    learned = belljar("learn", "--ledger", here / "ledger", "job.py", cwd=here)
    assert tomllib.loads(learned.stdout)["files"] == {"read": ["data/in.txt"], "write": ["out"]}
    assert "done\n" in learned.stderr


def test_a_record_of_watch_is_learned_from_as_well_as_a_run(belljar: Callable, here: Path) -> None:
    belljar("watch", "--quiet", "--ledger", here / "ledger", "job.py", cwd=here)
    by_flag = belljar("learn", "--record", "--ledger", here / "ledger", cwd=here)
    by_word = belljar("learn", "--record", here / "ledger", cwd=here)
    assert by_flag.stdout == by_word.stdout
    assert tomllib.loads(by_flag.stdout)["files"] == {"read": ["data/in.txt"], "write": ["out"]}


def test_what_a_run_was_denied_is_added_to_its_policy_and_marked(
    belljar: Callable, here: Path
) -> None:
    ledger = ["--ledger", here / "ledger"]
    denied = belljar("run", *ledger, "--write", "out", "job.py", cwd=here)
    assert denied.status == 1
    learned = belljar("learn", "--record", *ledger, "-o", "more.toml", cwd=here)
    assert learned.status == 0
    text = (here / "more.toml").read_text()
    assert '"data/in.txt",  # job.py:2 (once); was denied' in text or "was denied" in text
    assert grants(here / "more.toml")["files"] == {"read": ["data/in.txt"], "write": ["out"]}
    inside = belljar("run", *ledger, "--policy", "more.toml", "job.py", cwd=here)
    assert (inside.status, inside.stderr) == (0, "")


def test_an_older_run_is_named_by_its_id(belljar: Callable, here: Path) -> None:
    ledger = ["--ledger", here / "ledger"]
    first = belljar("run", *ledger, "-c", "open('/etc/profile')", result=True, cwd=here)
    belljar("run", *ledger, "-c", "pass", cwd=here)
    learned = belljar("learn", "--record", *ledger, "--run", first.result["run"][:8], cwd=here)
    assert tomllib.loads(learned.stdout)["files"] == {"read": ["/etc/profile"]}
    nothing = belljar("learn", "--record", *ledger, "--run", "0123456789", cwd=here)
    assert (nothing.status, nothing.stdout) == (1, "")
    assert "has no run 0123456789" in nothing.stderr


def test_a_secret_is_proposed_and_not_granted(belljar: Callable, here: Path) -> None:
    secret = here / ".ssh/id_ed25519"
    secret.parent.mkdir()
    secret.write_text("key")
    learned = belljar("learn", "-o", "p.toml", "-c", f"open({str(secret)!r})", cwd=here)
    assert learned.status == 0
    text = (here / "p.toml").read_text()
    assert "NOT GRANTED: .ssh holds credentials" in text
    assert '# ".ssh/id_ed25519",' in text
    assert grants(here / "p.toml") == {"files": {"read": []}}


def test_a_child_python_and_a_fork_are_learned(belljar: Callable, here: Path) -> None:
    (here / "kids.py").write_text(
        "import os, subprocess, sys\n"
        "code = 'print(open(\"data/in.txt\").read().strip())'\n"
        "print(subprocess.check_output([sys.executable, '-c', code], text=True).strip())\n"
        "if os.fork() == 0:\n    os._exit(0)\nos.wait()\n"
    )
    learned = belljar("learn", "-o", "p.toml", "kids.py", cwd=here)
    assert learned.status == 0, learned.stderr
    inside = belljar("run", "--policy", "p.toml", "kids.py", cwd=here)
    assert (inside.status, inside.stdout) == (0, "text\n")
    assert set(re.findall(r"denied\[(\w+)\]", inside.stderr)) <= {"list"}  # imports of the child


def test_a_fork_alone_raises_the_number_of_processes(belljar: Callable, here: Path) -> None:
    code = "import os\nif os.fork() == 0: os._exit(0)\nprint(os.wait()[1])"
    belljar("learn", "-o", "p.toml", "-c", code, cwd=here)
    assert grants(here / "p.toml") == {"limits": {"processes": 2}}
    assert belljar("run", "--policy", "p.toml", "-c", code, cwd=here).stdout == "0\n"


def test_standard_input_that_was_read_is_inherited(belljar: Callable, here: Path) -> None:
    code = "import sys; print(sys.stdin.read().strip())"
    with open(here / "data/in.txt", "rb") as stdin:
        belljar("learn", "-o", "p.toml", "-c", code, cwd=here, stdin=stdin)
    assert grants(here / "p.toml") == {"process": {"stdin": "inherit"}}
    with open(here / "data/in.txt", "rb") as stdin:
        inside = belljar("run", "--policy", "p.toml", "-c", code, cwd=here, stdin=stdin)
    assert inside.stdout == "text\n"


def test_a_program_that_fails_is_learned_from_and_told(belljar: Callable, here: Path) -> None:
    learned = belljar("learn", "-c", "open('data/in.txt'); raise SystemExit(3)", cwd=here)
    assert learned.status == 0
    assert "ended with status 3" in learned.stderr
    assert tomllib.loads(learned.stdout)["files"] == {"read": ["data/in.txt"]}


def test_a_name_that_would_break_out_of_a_comment_does_not(belljar: Callable, here: Path) -> None:
    name = 'x"]\n[files]\nwrite = [".."]\n#\x1b[2J'
    (here / name).write_text("")
    belljar("learn", "-o", "p.toml", "-c", f"open({name!r})", cwd=here)
    assert "\x1b" not in (here / "p.toml").read_text()
    assert grants(here / "p.toml") == {"files": {"read": [name]}}


def test_a_file_is_overwritten_only_when_forced(belljar: Callable, here: Path) -> None:
    (here / "p.toml").write_text("mine\n")
    ran = here / "ran"
    code = f"open({str(ran)!r}, 'w')"
    refused = belljar("learn", "-o", "p.toml", "-c", code, cwd=here)
    assert (refused.status, (here / "p.toml").read_text()) == (2, "mine\n")
    assert not ran.exists()  # nothing ran
    assert belljar("learn", "--force", "-o", "p.toml", "-c", "pass", cwd=here).status == 0
    assert "schema = 1" in (here / "p.toml").read_text()


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ((), 2, "nothing to learn from"),
        (("--bogus",), 2, "unknown option --bogus"),
        (("-o",), 2, "-o needs a value"),
        (("--run", "12", "x.py"), 2, "--run is for --record"),
        (("--record", "led", "x.py"), 2, "a ledger's directory at most"),
        (("--ledger", "none", "x.py"), 2, "needs the record"),
        (("-o", "no/such/p.toml", "x.py"), 2, "there is no such directory"),
        (("nowhere.py",), 127, "no such file"),
        (("--record", "no-ledger"), 1, "cannot read the ledger"),
    ],
)
def test_mistakes_get_one_line_and_nothing_runs(
    belljar: Callable, here: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    result = belljar("learn", *words, cwd=here)
    assert (result.status, result.stdout) == (status, "")
    assert says in result.stderr


def test_help_is_shown(belljar: Callable) -> None:
    shown = belljar("learn", "--help")
    assert shown.status == 0
    assert "UNRESTRICTED" in shown.stdout
