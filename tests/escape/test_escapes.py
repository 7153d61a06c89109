"""Each attack works where nothing holds it, and has no effect in a sandbox.

A case is a directory with `attack.py` and `case.toml`:
  title, group    what is attacked (one of GROUPS)
  flags           of `belljar run`; `{name}` stands for a fact of the stage
  effect          what the unconfined attack must achieve, as the stage observes it
  says            the guest's last line when it was stopped; `|` between alternatives, `*` any
  denials         exactly the denials of the result (right, target, because); none when absent
  any-denials     they do not matter: what counts is the absence of effect
  wall            the window is not asked: only `no effect` is promised, and no denial is expected
  ended, status   how the run ends (`exit`, 0); `*` and -1: however it does
  neighbour       another guest is alive meanwhile (neighbour.py): what it says it suffered counts
  row             the row of the truth table that it is about, if that is not full on every tier
  then            words of a second `belljar`, run afterwards in both halves
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from beside import neighbour
from elsewhere import NAME, Tier, move, open_by_design, tier
from needs import lacks
from stage import Stage
from tiers import MAIN

from belljar.errors import LedgerError
from belljar.ledger.reader import verify

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/case.toml"))
GROUPS = {
    "files",
    "metadata",
    "network",
    "processes",
    "code",
    "resources",
    "cross-sandbox",
    "record",
}
KEYS = {
    "title",
    "group",
    "flags",
    "effect",
    "says",
    "denials",
    "any-denials",
    "wall",
    "ended",
    "status",
    "then",
    "needs",
    "cwd",
    "result",
    "ledger",
    "plain",
    "missed",
    "longest",
    "after",
    "inherit",
    "terminal",
    "may-refuse",
    "neighbour",
    "row",
}
COMMAND = [sys.executable, "-c", MAIN]
TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Done:
    """One half of a case: what came out, and what was done to the stage."""

    def __init__(self, status: int, stdout: bytes, stderr: bytes, seconds: float) -> None:
        self.status = status
        self.stdout = stdout.decode("utf-8", "backslashreplace")
        self.stderr = stderr.decode("utf-8", "backslashreplace")
        self.seconds = seconds
        self.effects: dict[str, object] = {}


def read_case(folder: Path) -> dict:
    case = tomllib.loads((folder / "case.toml").read_text())
    assert not case.keys() - KEYS, f"unknown keys {case.keys() - KEYS}"
    assert case["group"] in GROUPS
    return case


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared library, which also passes for an extension module."""
    folder = tmp_path_factory.mktemp("native")
    source = folder / "native.c"
    source.write_text(
        "#include <unistd.h>\n"
        'long say_effect(void) { return write(1, "EFFECT\\n", 7); }\n'
        "void *PyInit_native(void) { say_effect(); return 0; }\n"
    )
    target = folder / "native.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return target


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path, library: Path) -> Iterator[Stage]:
    """A stage for the case of the test, beneath /tmp or outside of it."""
    folder, place = request.param
    with TemporaryDirectory(prefix="belljar-escape-", dir="/var/tmp") as other:
        os.chmod(other, 0o755)
        stage = Stage(Path(other) if place == "var" else tmp_path, folder, library)
        yield stage
        stage.close()


def communicate(
    argv: list[str], cwd: Path, env: dict[str, str], stage: Stage, more: dict
) -> tuple[subprocess.Popen, bytes, bytes]:
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **more,
    )
    try:
        out, err = process.communicate(timeout=25)
    except subprocess.TimeoutExpired:
        kill_session(process.pid)
        stage.kill_survivors()
        out, err = process.communicate(timeout=5)
    return process, out, err


def start(argv: list[str], stage: Stage, case: dict, env: dict[str, str]) -> Done:
    """Run to the end, kill what is left of it, and look at the stage."""
    secret, before = os.open(stage.secret, os.O_RDONLY), time.monotonic()
    slave = -1
    more: dict = {"stdin": subprocess.DEVNULL, **case.get("identity", {})}
    if case.get("inherit"):
        more["pass_fds"] = (secret,)
    if case.get("terminal"):
        master, slave = pty.openpty()
        more["stdin"] = slave
        argv = [case.get("python", sys.executable), "-I", "-S", "-c", TERMINAL, *argv]
    cwd = Path(stage.fill(case.get("cwd", str(stage.root / "work"))))
    run = argv[: argv.index("run") + 1] if "run" in argv else []
    with neighbour(stage, case, run, env, case.get("identity", {})) as said:
        process, out, err = communicate(argv, cwd, env, stage, more)
    out += "".join(f"\n{line}" for line in said).encode()
    done = Done(process.returncode, out, err, time.monotonic() - before)
    done.effects = stage.observe(done.stdout, case.get("after", 0))
    kill_session(process.pid)
    if done.seconds > case.get("longest", 20):
        done.effects["late"] = done.seconds
    if any(
        line.startswith("belljar: FORGED") or ("/FORGED" in line and line.startswith("denied"))
        for line in done.stderr.splitlines()
    ) or ("\x1b" in done.stderr or "\u202e" in done.stderr):
        done.effects["forged"] = done.stderr
    if done.status in (-11, -7, -4, -6):
        done.effects["crashed"] = done.status
    if slave >= 0:
        os.set_blocking(slave, False)
        with suppress(BlockingIOError):
            done.effects["typed"] = os.read(slave, 100)
        os.close(slave)
        os.close(master)
    os.close(secret)
    return done


def kill_session(leader: int) -> None:
    """End what an attack left behind in its session (a stalled keeper, say)."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = (
                    Path(f"/proc/{entry}/stat")
                    .read_text(errors="replace")
                    .rpartition(")")[2]
                    .split()
                )
                if int(fields[3]) == leader:
                    os.kill(int(entry), 9)
            except (FileNotFoundError, ProcessLookupError):
                continue


def places(case: Path) -> list[str]:
    group = read_case(case)["group"]
    return ["tmp", "var"] if group in ("files", "metadata") else ["var"]


def damage(ledger: str, least: int) -> str:
    """What is wrong with a ledger that had `least` entries."""
    try:
        report = verify(ledger)
    except LedgerError as error:
        return str(error)
    return (
        ""
        if report.entries > least and not report.torn
        else f"{report.entries} entries, torn {report.torn}"
    )


def ready(stage: Stage, case: dict, env: dict[str, str]) -> tuple[str, int]:
    """The ledger of the case; an earlier run is in it where the attack is on the ledger."""
    ledger = stage.fill(case.get("ledger", str(stage.root.parent / f"ledger-{stage.nonce}")))
    if "ledger" not in case:
        return ledger, 0
    subprocess.run([*COMMAND, "run", "--ledger", ledger, "-c", "pass"], env=env, check=True)
    return ledger, verify(ledger).entries


def facts(stage: Stage, case: dict) -> list[str]:
    return [] if case.get("plain") else [json.dumps(stage.facts)]


def then(stage: Stage, case: dict, env: dict[str, str], done: Done) -> None:
    if "then" in case:
        words = [stage.fill(word) for word in case["then"]]
        words[1:1] = ["--ledger", "none"]
        after = start([*COMMAND, *words], stage, case, env)
        done.effects = {**done.effects, **after.effects}


@pytest.fixture
def env(clean_env: dict[str, str], stage: Stage) -> dict[str, str]:
    return {**clean_env, "BELLJAR_TEST_SECRET": stage.token, "PYTHONDONTWRITEBYTECODE": "1"}


BOTH = [pytest.param(c, (c, p), id=f"{c.name}-{p}") for c in CASES for p in places(c)]
ONCE = [pytest.param(c, (c, "var"), id=c.name) for c in CASES]


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Tier | None]:
    with tier() as found:
        yield found


@pytest.mark.skipif(bool(NAME), reason="outside is no tier")
@pytest.mark.parametrize(("folder", "stage"), ONCE, indirect=["stage"])
def test_the_attack_works_where_nothing_holds_it(
    folder: Path, stage: Stage, env: dict[str, str]
) -> None:
    case = read_case(folder)
    if lacks(case):
        pytest.skip(lacks(case)) if os.environ.get("BELLJAR_MUST_WORK") != "1" else pytest.fail(
            lacks(case)
        )
    ledger, entries = ready(stage, case, env)
    done = start(
        [sys.executable, "attack.py", *facts(stage, case)],
        stage,
        {**case, "cwd": str(stage.root / "work")},
        env,
    )
    then(stage, case, env, done)
    if "ledger" in case and damage(ledger, entries):
        done.effects["tampered"] = damage(ledger, entries)
    assert case["effect"] in done.effects, f"{done.effects}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(("folder", "stage"), BOTH, indirect=["stage"])
def test_the_attack_has_no_effect_in_a_sandbox(
    folder: Path, stage: Stage, env: dict[str, str], tmp_path: Path, elsewhere: Tier | None
) -> None:
    case = read_case(folder)
    if elsewhere:
        no_effect_there(case, stage, elsewhere)
        return
    ledger, entries = ready(stage, case, env)
    result = Path(stage.fill(case.get("result", str(tmp_path / "result.json"))))
    flags = [stage.fill(flag) for flag in case["flags"]]
    script = str(stage.root / "work/attack.py")
    ours = ["--ledger", ledger, "--result", str(result)]
    argv = [*COMMAND, "run", *ours, *flags, script, *facts(stage, case)]
    done = start(argv, stage, case, env)
    if case.get("may-refuse") and done.status == 125:
        assert not done.effects
        return
    then(stage, case, env, done)
    assert done.effects == {}, f"{done.stdout}\n{done.stderr}"
    assert damage(ledger, entries) == ""
    kept = sum(path.stat().st_size for path in Path(ledger).iterdir())
    assert kept < 100_000_000, f"the record has {kept} bytes"
    status = case.get("status", 0)
    assert status in (-1, done.status), f"{done.stdout}\n{done.stderr}"
    last = (done.stdout.splitlines() or [""])[-1]
    assert case["says"] == "*" or last in case["says"].split("|"), f"{done.stdout}\n{done.stderr}"
    if result.is_symlink() or not result.exists():
        pytest.fail("the result was not written as a file of its own")
    outcome = json.loads(result.read_text())
    assert case.get("ended", "exit") in ("*", outcome["ended-by"])
    if case.get("status") == -1:
        return
    assert bool(outcome["missed"]) == case.get("missed", False)
    check_denials(case, stage, outcome, ledger, done, env)


def no_effect_there(case: dict, stage: Stage, where: Tier) -> None:
    """The half inside, on another tier: whatever it says, it does nothing."""
    if open_by_design(case):
        pytest.skip(open_by_design(case))
    move(stage, where)
    env = {**where.env, "BELLJAR_TEST_SECRET": stage.token}
    flags = [stage.fill(flag) for flag in case["flags"]]
    script = str(stage.root / "work/attack.py")
    words = ["--ledger", "none", "--quiet", *flags, script, *facts(stage, case)]
    more = {**case, "identity": where.identity, "python": where.python}
    done = start([*where.command(), "run", *words], stage, more, env)
    if done.status == 125:
        return  # what cannot be protected there does not start
    assert done.effects == {}, f"{done.stdout}\n{done.stderr}"


def check_denials(
    case: dict, stage: Stage, outcome: dict, ledger: str, done: Done, env: dict[str, str]
) -> None:
    if case.get("any-denials"):
        return
    # one call of Python may raise two events (posix_spawn within Popen): the same denial, twice
    found = list(dict.fromkeys((d["right"], d["target"], d["because"]) for d in outcome["denials"]))
    wanted = [
        (d["right"], stage.fill(d["target"]), stage.fill(d["because"]))
        for d in case.get("denials", ())
    ]
    assert found == wanted, done.stderr
    assert bool(wanted) != case.get("wall", False), "a case expects denials, or names the wall"
    for denial in outcome["denials"]:
        native = denial["event"] == "belljar.exec"  # the C library was called, from no line
        assert (denial["at"] is None) == native
        assert native or not denial["at"]["file"].startswith("/belljar/"), (
            "the guest's line is told, not ours"
        )
        assert f"denied[{denial['right']}]: guest " in done.stderr
        assert f"record #{denial['record']}" in done.stderr
        shown = subprocess.run(
            [*COMMAND, "log", "show", str(denial["record"]), ledger, "--json"],
            env=env,
            check=True,
            capture_output=True,
        )
        entry = json.loads(shown.stdout)
        assert entry["entry"] == denial["record"]
        kept = entry["data"]
        for key in ("right", "target", "because", "event"):
            assert kept[key] == denial[key], kept


def test_there_are_enough_cases_in_every_group() -> None:
    groups = [read_case(path)["group"] for path in CASES]
    assert len(groups) >= 150
    assert {g: groups.count(g) for g in GROUPS if groups.count(g) < 3} == {}
