"""What `belljar run` prints, whole: denials, mistakes, limits, the result's keys.

Output is compared as it is, but for the test's own directory, numbers of the record, and times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

RESULT_KEYS = {
    "schema",
    "status",
    "ended-by",
    "signal",
    "denials",
    "alerts",
    "repeated",
    "missed",
    "unkept",
    "usage",
    "receipt",
    "ledger",
    "run",
    "planted",
    "overlays",
}
USAGE_KEYS = {"wall", "user", "system", "peak-memory", "output", "events"}
DENIAL_KEYS = {"right", "target", "asked", "event", "because", "remedy", "rule", "record", "at"}
PROTECTIONS = {
    "files",
    "names",
    "network",
    "processes",
    "syscalls",
    "wall",
    "output",
    "memory",
    "cpu",
    "threads",
    "open-files",
    "disk",
    "extensions",
    "bytecode",
    "net-info",
    "os-info",
    "record",
}


@pytest.fixture
def here(outside_tmp: Path) -> Path:
    """A project with a script, data, and a secret beside it."""
    (outside_tmp / "data").mkdir()
    (outside_tmp / "data/notes.txt").write_text("notes\n")
    (outside_tmp / "secret.txt").write_text("secret\n")
    (outside_tmp / "job.py").write_text(
        "import sys\n\n\ndef load(path):\n    return open(path, *sys.argv[2:]).read()\n\n\n"
        "try:\n    print(load(sys.argv[1]), end='')\n"
        "except OSError as error:\n    print(type(error).__name__, error.errno)\n"
    )
    return outside_tmp


def plain(text: str, here: Path) -> str:
    text = re.sub(r"record #\d+", "record #N", text.replace(str(here), "HERE"))
    return re.sub(r"(?<=\S)  +", "  ", text)  # columns move with the length of the test's paths


def test_a_granted_file_is_read_in_silence(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "--read", "data", "job.py", "data/notes.txt", cwd=here)
    assert (ran.status, ran.stdout, ran.stderr) == (0, "notes\n", "")


def test_a_denial_tells_who_what_why_and_the_remedy(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "--read", "data", "job.py", "data/../secret.txt", cwd=here)
    assert (ran.status, ran.stdout) == (0, "FileNotFoundError 2\n")
    assert plain(ran.stderr, here) == (
        'denied[read]: guest "job" may not read HERE/secret.txt\n'
        "  at  /box/job.py:5 in load  asked as data/../secret.txt\n"
        "  because no grant covers it  nearest: --read HERE/data\n"
        "  allow  --read HERE/secret.txt  record #N\n"
    )


def test_a_missing_right_is_a_permission_error(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "--read", "data", "job.py", "data/notes.txt", "w", cwd=here)
    assert (ran.status, ran.stdout) == (0, "PermissionError 13\n")
    assert plain(ran.stderr, here) == (
        'denied[write]: guest "job" may not write HERE/data/notes.txt\n'
        "  at  /box/job.py:5 in load  asked as data/notes.txt\n"
        "  because granted for read, not for write  nearest: --read HERE/data\n"
        "  allow  --write HERE/data/notes.txt  record #N\n"
    )
    assert (here / "data/notes.txt").read_text() == "notes\n"


def test_the_remedy_of_a_denial_works(belljar: Callable, here: Path) -> None:
    for name, *mode in (["secret.txt"], ["data/notes.txt", "a"], ["data/notes.txt", "r+"]):
        words = [here / name, *mode]
        remedies: list[str] = []
        for _ in range(3):
            ran = belljar("run", *remedies, "job.py", *words, cwd=here, result=True)
            if not ran.result["denials"]:
                break
            remedies += ran.result["denials"][0]["remedy"].split()
        assert (ran.result["denials"], ran.stderr) == ([], ""), remedies


def test_a_relative_path_beside_the_script_is_denied_with_a_remedy(
    belljar: Callable, here: Path
) -> None:
    ran = belljar("run", "job.py", "secret.txt", cwd=here, result=True)
    assert (ran.status, ran.stdout) == (0, "FileNotFoundError 2\n")
    (denial,) = ran.result["denials"]
    assert (denial["right"], denial["remedy"]) == ("read", f"--read {here}/secret.txt")


def test_a_missing_file_of_the_host_is_no_denial(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "--read", "data", "job.py", "nowhere.txt", cwd=here)
    assert (ran.status, ran.stdout, ran.stderr) == (0, "FileNotFoundError 2\n", "")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--bogus", "x.py"], 2, "belljar: run: no option --bogus; see belljar run --help\n"),
        (["--wal", "1s", "x.py"], 2, None),
        (
            [],
            2,
            "belljar: run: what to run? give SCRIPT, -c CODE or -m MODULE; "
            "see belljar run --help\n",
        ),
        (["-c"], 2, "belljar: run: -c needs an argument; see belljar run --help\n"),
        (["--read"], 2, "belljar: run: --read needs a value; see belljar run --help\n"),
        (
            ["--quiet=1", "x.py"],
            2,
            "belljar: run: --quiet takes no value; see belljar run --help\n",
        ),
        (["--fail-on", "x", "-c", "1"], 2, None),
        (["nowhere.py"], 127, "belljar: nowhere.py: no such file\n"),
        (["data"], 126, "belljar: data: is a directory; use -m for a package\n"),
        (
            ["--python", "/no/python", "-c", "1"],
            127,
            "belljar: --python: no interpreter /no/python\n",
        ),
        (["--python", "secret.txt", "-c", "1"], 127, None),
        (
            ["--read", "nowhere", "-c", "print(1)"],
            125,
            "belljar: --read: read = HERE/nowhere: No such file or directory; "
            "prefix it with - if it may be missing\n",
        ),
        (["--memory", "12 parsecs", "-c", "print(1)"], 125, None),
        (["--wall", "-1s", "-c", "print(1)"], 125, None),
        (["--connect", "example.org:99999", "-c", "print(1)"], 125, None),
        (["--connect", "example.org:80", "-c", "print(1)"], 125, None),
        (["--bind", "udp:127.0.0.1:many", "-c", "print(1)"], 125, None),
        (["--import", "no-such-distribution", "-c", "print(1)"], 125, None),
        (["--run", "no-such-program", "-c", "print(1)"], 125, None),
        (["--env", "LD_PRELOAD=x", "-c", "print(1)"], 125, None),
        (["--require", "bogus", "-c", "print(1)"], 125, None),
        (["--require", "cpu", "-c", "print(1)"], 125, None),
        (["--read", "/proc/self", "-c", "print(1)"], 125, None),
        (["--policy", "nowhere.toml", "-c", "print(1)"], 125, None),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_line_and_runs_nothing(
    belljar: Callable, here: Path, words: list[str], status: int, text: str | None
) -> None:
    ran = belljar("run", *words, cwd=here)
    assert (ran.status, ran.stdout) == (status, ""), ran.stderr
    assert ran.stderr.startswith("belljar: ")
    assert ran.stderr.count("\n") == 1
    if text is not None:
        assert plain(ran.stderr, here) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("schema = 1\n[files]\nreed = ['data']\n", 3),
        ("schema = 1\n\n[limits]\nmemory = 'much'\n", 4),
        ("schema = 1\n[files]\nread = 7\n", 3),
        ("schema = 1\n[files]\nread = ['nowhere']\n", 3),
        ("schema = 2\n", 1),
        ("schema = 1\n[files\n", 2),
        ("schema = 1\n[network]\n\nconnect = ['127.0.0.1:http']\n", 4),
    ],
)
def test_a_mistake_in_a_policy_is_told_with_its_line(
    belljar: Callable, here: Path, text: str, line: int
) -> None:
    (here / "policy.toml").write_text(text)
    ran = belljar("run", "--policy", "policy.toml", "-c", "print(1)", cwd=here)
    assert (ran.status, ran.stdout) == (125, "")
    assert ran.stderr.startswith(f"belljar: policy.toml:{line}: "), ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_policy_file_is_obeyed_and_named_in_denials(belljar: Callable, here: Path) -> None:
    (here / "policy.toml").write_text("schema = 1\n[files]\nread = ['data']\n")
    ran = belljar("run", "--policy", "policy.toml", "job.py", "data/notes.txt", cwd=here)
    assert (ran.status, ran.stdout, ran.stderr) == (0, "notes\n", "")
    ran = belljar("run", "--policy", "policy.toml", "job.py", here / "secret.txt", cwd=here)
    assert "nearest: policy.toml:3" in plain(ran.stderr, here)


def test_the_clock_ends_with_124(belljar: Callable, here: Path) -> None:
    ran = belljar(
        "run", "--wall", "1s", "-c", "import time; print('up', flush=True); time.sleep(9)", cwd=here
    )
    assert (ran.status, ran.stdout, ran.stderr) == (
        124,
        "up\n",
        "belljar: ended by wall clock: over 1s (--wall)\n",
    )


def test_a_flood_of_output_ends_with_137(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "--output", "1KiB", "-c", "while True: print('x' * 99)", cwd=here)
    assert (ran.status, len(ran.stdout)) == (137, 1024)
    assert ran.stderr == "belljar: ended by output: over 1024 bytes (--output)\n"


def test_a_swallowed_denial_fails_when_asked(belljar: Callable, here: Path) -> None:
    words = ("--fail-on", "denial", "job.py", here / "secret.txt")
    assert belljar("run", *words, cwd=here).status == 123
    assert belljar("run", "--read", "secret.txt", *words, cwd=here).status == 0
    code = f"try: open('{here}/secret.txt')\nexcept OSError: pass\nraise SystemExit(4)"
    assert belljar("run", "--fail-on", "denial", "-c", code, cwd=here).status == 4


def test_quiet_prints_nothing_of_ours(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "--quiet", "job.py", here / "secret.txt", cwd=here, result=True)
    assert (ran.status, ran.stdout, ran.stderr) == (0, "FileNotFoundError 2\n", "")
    assert ran.denied() == [("read", f"{here}/secret.txt")]
    ran = belljar("run", "--quiet", "--wall", "1s", "-c", "import time; time.sleep(9)", cwd=here)
    assert (ran.status, ran.stderr) == (124, "")


def test_the_result_has_its_documented_keys(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "job.py", here / "secret.txt", cwd=here, result=True)
    result = ran.result
    assert set(result) == RESULT_KEYS
    assert set(result["usage"]) == USAGE_KEYS
    assert set(result["receipt"]) == {"tier", "protections"}
    assert set(result["receipt"]["protections"]) == PROTECTIONS
    (denial,) = result["denials"]
    assert set(denial) == DENIAL_KEYS
    assert denial["at"] == {"file": "/box/job.py", "line": 5, "function": "load"}
    assert (denial["right"], denial["asked"], denial["event"]) == (
        "read",
        f"{here}/secret.txt",
        "open",
    )
    assert (result["schema"], result["status"], result["ended-by"], result["signal"]) == (
        1,
        0,
        "exit",
        None,
    )


def test_the_receipt_lists_the_weak_first(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "--receipt", "-c", "pass", cwd=here)
    rows = re.findall(r"^  ([a-z-]+) +(none|partial|full)\b", ran.stderr, re.MULTILINE)
    assert {name for name, _ in rows} == PROTECTIONS
    order = ["none", "partial", "full"]
    assert [order.index(level) for _, level in rows] == sorted(
        order.index(level) for _, level in rows
    )
    assert re.search(r"^record: \S+ run [0-9a-f]{8}, \d+ events$", ran.stderr, re.MULTILINE)


def test_the_record_can_be_shown_in_either_order_of_words(belljar: Callable, here: Path) -> None:
    ledger = here / "ledger"
    ran = belljar("run", "--ledger", ledger, "job.py", here / "secret.txt", cwd=here, result=True)
    number = ran.result["denials"][0]["record"]
    for words in (
        (number, "--json", ledger),
        (number, ledger, "--json"),
        ("--json", number, ledger),
    ):
        shown = belljar("log", "show", *words)
        assert shown.status == 0, shown.stderr
        assert json.loads(shown.stdout)["data"]["target"] == f"{here}/secret.txt"


def test_a_signal_of_the_program_is_told(belljar: Callable, here: Path) -> None:
    ran = belljar("run", "-c", "import os; os.kill(os.getpid(), 9)", cwd=here)
    assert (ran.status, ran.stderr) == (137, "belljar: the program was ended by signal 9\n")
