"""What `belljar run` makes of its words, and the status of a mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belljar.cli import main
from belljar.cli.run import Options, parse
from belljar.errors import UsageError


def what(options: Options) -> tuple[str, str, tuple[str, ...]]:
    return options.kind, options.target, options.args


def mistake(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(list(words))
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert text.startswith("run: ")
    assert text.endswith("; see belljar run --help")
    return text.removeprefix("run: ").removesuffix("; see belljar run --help")


def test_a_flag_takes_the_next_word_or_what_follows_the_equals_sign() -> None:
    options = parse(["--read", "data", "--write=out", "--env=A=B", "job.py"])
    assert options.flags == [("read", "data"), ("write", "out"), ("env", "A=B")]
    assert what(options) == ("script", "job.py", ())


def test_a_value_may_look_like_a_flag() -> None:
    options = parse(["--read", "-maybe", "--env", "--write", "job.py"])
    assert options.flags == [("read", "-maybe"), ("env", "--write")]


def test_an_empty_value_is_a_value() -> None:
    assert parse(["--name=", "x.py"]).values == {"name": ""}


def test_bools_take_no_next_word() -> None:
    options = parse(["--bytecode", "--os-info=false", "job.py"])
    assert options.flags == [("bytecode", ""), ("os-info", "false")]
    assert what(options) == ("script", "job.py", ())


def test_flags_come_in_the_order_given_and_more_than_once() -> None:
    options = parse(["--read", "b", "--memory", "1G", "--read", "a", "job.py"])
    assert options.flags == [("read", "b"), ("memory", "1G"), ("read", "a")]


def test_our_own_options_and_switches_are_no_grants() -> None:
    options = parse(["--policy", "p.toml", "--python=3.12", "--no-policy", "--receipt", "job.py"])
    assert options.flags == []
    assert options.values == {"policy": "p.toml", "python": "3.12"}
    assert options.switches == {"no-policy", "receipt"}


def test_of_our_own_options_the_last_one_counts() -> None:
    assert parse(["--name", "a", "--name", "b", "x.py"]).values == {"name": "b"}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["job.py"], ("script", "job.py", ())),
        (["-c", "print(1)"], ("code", "print(1)", ())),
        (["-m", "package.tool"], ("module", "package.tool", ())),
        (["--", "job.py"], ("script", "job.py", ())),
        (["--", "--odd.py"], ("script", "--odd.py", ())),
        (["--", "-c"], ("script", "-c", ())),
        (["-"], ("script", "-", ())),
        (["-c", ""], ("code", "", ())),
        (["-c", "--read"], ("code", "--read", ())),
    ],
)
def test_the_program_is_a_script_code_or_a_module(words: list[str], found: tuple) -> None:
    assert what(parse(words)) == found
    assert what(parse(["--quiet", *words])) == found


@pytest.mark.parametrize("start", [["job.py"], ["-c", "pass"], ["-m", "tool"], ["--", "job.py"]])
def test_everything_after_the_program_belongs_to_it(start: list[str]) -> None:
    rest = ["--write", "/", "--quiet", "-c", "x", "--", "--unknown", "-m"]
    options = parse(["--read", "data", *start, *rest])
    assert options.args == tuple(rest)
    assert options.flags == [("read", "data")]
    assert options.switches == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--raed", "x", "job.py"], "no option --raed"),
        (["--raed=x", "job.py"], "no option --raed"),
        (["-r", "x", "job.py"], "no option -r"),
        (["-read", "x", "job.py"], "no option -read"),
        (["--zzzzzzzzzz", "job.py"], "no option --zzzzzzzzzz"),
        (["--read"], "--read needs a value"),
        (["--policy"], "--policy needs a value"),
        (["-c"], "-c needs an argument"),
        (["-m"], "-m needs an argument"),
        (["--quiet=yes", "job.py"], "--quiet takes no value"),
        ([], "what to run? give SCRIPT, -c CODE or -m MODULE"),
        (["--"], "what to run? give SCRIPT, -c CODE or -m MODULE"),
        (["--read", "job.py"], "what to run? give SCRIPT, -c CODE or -m MODULE"),
        (["--quiet", "--receipt", "job.py"], "--quiet and --receipt contradict each other"),
        (["--quiet"], "what to run? give SCRIPT, -c CODE or -m MODULE"),
    ],
)
def test_a_mistake_is_told(words: list[str], said: str) -> None:
    assert mistake(*words).startswith(said)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("raed", "read"), ("memroy", "memory"), ("recipt", "receipt"), ("polcy", "policy")],
)
def test_an_unknown_option_names_the_nearest(typed: str, meant: str) -> None:
    said = mistake(f"--{typed}", "x", "job.py")
    assert said.startswith(f"no option --{typed}")
    assert meant in said.removeprefix(f"no option --{typed}")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and no session can begin."""
    import belljar.sandbox.run

    def begin(*_: object) -> None:
        raise AssertionError("a sandbox was started")

    monkeypatch.setattr(belljar.sandbox.run, "Session", begin)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "cwd"


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["run", *words])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("belljar: ")
    assert err.count("\n") == 1
    return status, err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--raed", "x", "job.py"], 2), ([], 2), (["--read"], 2), (["-c"], 2),
        (["--fail-on", "nothing", "-c", ""], 2), (["--fail-on=", "-c", ""], 2),
        (["--memory", "lots", "-c", ""], 125), (["--read", "/", "-c", ""], 125),
        (["--read", "/proc/1", "-c", ""], 125), (["--policy", "none.toml", "-c", ""], 125),
        (["--env", "BELLJAR_CHANNEL=x", "-c", ""], 125),
    ],
)  # fmt: skip
def test_a_mistake_starts_nothing_and_has_its_status(
    nowhere: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int
) -> None:
    assert ended(capsys, *words)[0] == status


def test_what_was_typed_cannot_move_the_cursor(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, err = ended(capsys, "--x\x1b[2J\n", "job.py")
    assert status == 2
    assert "\x1b" not in err


@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_a_project_policy_that_is_no_file_is_refused_at_once(
    nowhere: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = nowhere / "pyproject.toml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    status, err = ended(capsys, "-c", "")
    assert status == 125
    assert err.startswith("belljar: pyproject.toml: ")
    assert "--no-policy" in err


def test_a_defect_of_ours_is_never_a_status_of_the_program(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-c", ""]) == 125
    assert "this is a defect of belljar itself" in capsys.readouterr().err


def test_help_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("belljar run [GRANTS] SCRIPT [ARGS]\n")
    assert err == ""


def test_an_unknown_command_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rnu", "x"]) == 2
    assert capsys.readouterr().err == "belljar: no command 'rnu'; see belljar --help\n"
    assert main([]) == 2
