"""What a plan shows of the host: the script's own directory, no links out of it, no more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from belljar.confine.plan import Plan, make
from belljar.confine.program import Program
from belljar.confine.runtime import Runtime
from belljar.errors import BelljarError, PolicyError, ProgramNotExecutable, ProgramNotFound
from belljar.model import Grant, Limits, Policy

Lay = Callable[..., Plan]


def words(plan: Plan) -> list[str]:
    return plan.words.decode("utf-8", "surrogateescape").split("\0")


def every(plan: Plan, word: str, size: int) -> list[tuple[str, ...]]:
    """The `size` words behind each `word`."""
    found = words(plan)
    return [tuple(found[i + 1 : i + 1 + size]) for i, w in enumerate(found) if w == word]


def binds(plan: Plan) -> dict[str, tuple[str, str]]:
    """guest path -> (host path, flags)."""
    return {path: (source, flags) for source, path, flags, _, _ in every(plan, "bind", 5)}


def in_box(plan: Plan) -> list[str]:
    return sorted(path for path in binds(plan) if path.startswith("/box/"))


@pytest.fixture
def runtime(outside_tmp: Path) -> Runtime:
    home = outside_tmp / "python"
    dynload = home / "lib/python3.11/lib-dynload"
    dynload.mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin/python3.11").touch(mode=0o755)
    for name in ("_ctypes.cpython-311-x86_64-linux-gnu.so", "_json.cpython-311.so"):
        (dynload / name).touch()
    stdlib = str(home / "lib/python3.11")
    return Runtime(str(home / "bin/python3.11"), "3.11.0", stdlib, str(dynload), (), (), ())


@pytest.fixture
def project(outside_tmp: Path) -> Path:
    folder = outside_tmp / "project"
    folder.mkdir()
    (folder / "job.py").write_text("pass\n")
    return folder


@pytest.fixture
def lay(outside_tmp: Path, project: Path, runtime: Runtime) -> Lay:
    """`lay(policy, kind=, target=, tier=)` makes the plan of a program in the project."""
    for name in ("channel", "page", "answers"):
        (outside_tmp / name).touch()

    def plan(
        policy: Policy | None = None,
        kind: str = "script",
        target: str = "job.py",
        tier: str = "user",
        protect: tuple[str, ...] = (),
        settings: str = "",
    ) -> Plan:
        program = Program(kind, target, ("a",), str(project), protect)
        channel, page = str(outside_tmp / "channel"), str(outside_tmp / "page")
        scratch, answers = str(outside_tmp / "scratch"), str(outside_tmp / "answers")
        return make(
            policy or Policy(), runtime, program, tier, channel, page, scratch,
            answers=answers, settings=settings,
        )  # fmt: skip

    return plan


def test_python_files_beside_the_script_are_shown_and_nothing_else(lay: Lay, project: Path) -> None:
    (project / "helper.py").touch()
    (project / "secret.txt").touch()
    (project / "folder.py").mkdir()
    assert in_box(lay()) == ["/box/helper.py", "/box/job.py"]


def test_a_live_guest_has_no_files_beside_it_and_no_clock_of_the_keeper(
    lay: Lay, project: Path
) -> None:
    (project / "helper.py").touch()
    policy = Policy(limits=Limits(cpu=4.0, wall=7.0))
    live, once = lay(policy, "live", ""), lay(policy, "code", "pass")
    assert (in_box(live), live.box, live.boot["kind"]) == ([], "/box", "live")
    assert every(once, "wall", 1) == [("8000",)]
    assert every(live, "wall", 1) == []  # it would end one that only waits
    cpu = {kind: [row for row in every(plan, "limit", 3) if row[0] == "cpu"]
           for kind, plan in (("live", live), ("once", once))}  # fmt: skip
    assert cpu["once"] == [("cpu", "4", "5")]
    assert cpu["live"] == [("cpu", "15", str(2**64 - 1))]  # nobody could raise a hard limit again


def test_a_link_beside_the_script_that_leads_out_is_not_shown(
    lay: Lay, project: Path, outside_tmp: Path
) -> None:
    (outside_tmp / "secret.py").touch()
    (project / "planted.py").symlink_to(outside_tmp / "secret.py")
    (project / "passwd.py").symlink_to("/etc/passwd")
    (project / "dangling.py").symlink_to("nowhere")
    plan = lay()
    assert in_box(plan) == ["/box/job.py"]
    assert str(outside_tmp / "secret.py") not in words(plan)


def test_a_neighbour_directory_whose_name_begins_alike_is_outside(
    lay: Lay, project: Path, outside_tmp: Path
) -> None:
    (outside_tmp / "project-two").mkdir()
    (outside_tmp / "project-two/x.py").touch()
    (project / "x.py").symlink_to("../project-two/x.py")
    assert in_box(lay()) == ["/box/job.py"]


def test_a_script_behind_a_link_is_run_from_its_real_directory(
    lay: Lay, project: Path, outside_tmp: Path
) -> None:
    (outside_tmp / "real").mkdir()
    (outside_tmp / "real/tool.py").touch()
    (project / "run.py").symlink_to(outside_tmp / "real/tool.py")
    plan = lay(target="run.py")
    assert in_box(plan) == ["/box/tool.py"]
    assert plan.boot["target"] == "/box/tool.py"
    assert ("/box", str(outside_tmp / "real")) in plan.mapped


def test_a_package_is_shown_whole_and_read_only(lay: Lay, project: Path) -> None:
    (project / "package").mkdir()
    (project / "package/__init__.py").touch()
    plan = lay(kind="module", target="package.sub")
    assert binds(plan)["/box/package"] == (str(project / "package"), "o")


def test_a_linked_package_is_not_shown(lay: Lay, project: Path, outside_tmp: Path) -> None:
    (outside_tmp / "elsewhere").mkdir()
    (outside_tmp / "elsewhere/__init__.py").touch()
    (project / "package").symlink_to(outside_tmp / "elsewhere")
    plan = lay(kind="module", target="package")
    assert in_box(plan) == []
    assert str(outside_tmp / "elsewhere") not in words(plan)


def test_a_linked_module_is_not_shown_nor_what_is_beside_it(
    lay: Lay, project: Path, outside_tmp: Path
) -> None:
    (outside_tmp / "tool.py").touch()
    (project / "tool.py").symlink_to(outside_tmp / "tool.py")
    assert in_box(lay(kind="module", target="tool")) == []


def test_code_is_shown_no_file_of_the_working_directory(lay: Lay) -> None:
    assert in_box(lay(kind="code", target="pass")) == []


def test_a_missing_script_is_not_found(lay: Lay) -> None:
    with pytest.raises(ProgramNotFound, match=r"none\.py: no such file"):
        lay(target="none.py")


def test_a_directory_is_not_executable(lay: Lay, project: Path) -> None:
    (project / "folder").mkdir()
    with pytest.raises(ProgramNotExecutable, match="use -m for a package"):
        lay(target="folder")


def test_more_than_200_files_beside_the_script_are_refused(lay: Lay, project: Path) -> None:
    for number in range(200):
        (project / f"m{number}.py").touch()
    with pytest.raises(BelljarError, match="201 Python files beside the script"):
        lay()


def test_without_namespaces_a_link_beside_the_script_is_refused(lay: Lay, project: Path) -> None:
    (project / "alias.py").symlink_to("job.py")
    with pytest.raises(BelljarError, match="a link, which needs mount namespaces"):
        lay(tier="landlock")


def test_without_namespaces_modules_are_told_by_name_and_the_table_is_a_file(
    lay: Lay, project: Path, outside_tmp: Path
) -> None:
    (project / "helper.py").touch()
    plan = lay(tier="landlock")
    assert plan.boot["beside"] == {name: str(project / f"{name}.py") for name in ("helper", "job")}
    assert every(plan, "bind", 5) == []
    table = (outside_tmp / "window").read_text()
    assert f"r\t{project}/job.py\n" in table
    assert f"\t{project}\n" not in table


def test_unsafe_extensions_are_covered_unless_granted_by_name(lay: Lay, runtime: Runtime) -> None:
    unsafe = f"{runtime.dynload}/_ctypes.cpython-311-x86_64-linux-gnu.so"
    covered = binds(lay())
    assert covered[unsafe][0].endswith("py.typed")
    assert os.path.getsize(covered[unsafe][0]) == 0
    assert not any("_json" in path for path in covered)
    granted = Policy(grants=(Grant("import", "ctypes", "--import"),))
    assert unsafe not in binds(lay(granted))
    assert unsafe not in binds(lay(Policy(extensions="all")))
    other = Policy(grants=(Grant("import", "json", "--import"),))
    assert unsafe in binds(lay(other))


@pytest.mark.parametrize("right", ["read", "write", "list"])
def test_the_temporary_directory_moves_when_a_grant_lies_beneath_tmp(
    lay: Lay, tmp_path: Path, right: str
) -> None:
    target = str(tmp_path)
    assert target.startswith("/tmp/")
    plan = lay(Policy(grants=(Grant(right, target, "--x"),)))
    assert [path for path, _ in every(plan, "tmpfs", 2)] == ["/belljar/tmp"]
    assert ("TMPDIR=/belljar/tmp",) in every(plan, "env", 1)
    assert ("/tmp", "rlwp") not in every(plan, "land", 2)


def test_the_temporary_directory_stays_for_grants_elsewhere(lay: Lay, outside_tmp: Path) -> None:
    plan = lay(Policy(grants=(Grant("read", str(outside_tmp), "--read"),)))
    assert [path for path, _ in every(plan, "tmpfs", 2)] == ["/tmp"]
    assert ("/tmp", "rlwp") in every(plan, "land", 2)
    assert not any(v[0].startswith("TMPDIR=") for v in every(plan, "env", 1))


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BELLJAR_CHANNEL"])
@pytest.mark.parametrize("value", ["x", True])
def test_variables_of_the_loader_and_of_ours_are_refused(
    lay: Lay, monkeypatch: pytest.MonkeyPatch, name: str, value: str | bool
) -> None:
    monkeypatch.setenv(name, "of the host")
    policy = Policy(env=((name, value),), given=(("process.env", "policy.toml:4"),))
    with pytest.raises(PolicyError, match=f"^policy.toml:4: env: {name} is Belljar's own"):
        lay(policy)


def test_the_environment_is_what_the_policy_names(
    lay: Lay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSED", "host's")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.delenv("ABSENT", raising=False)
    plan = lay(Policy(env=(("PASSED", True), ("ABSENT", True), ("LANG", "C"))))
    names = [value.partition("=")[0] for (value,) in every(plan, "env", 1)]
    assert names == [
        "PASSED", "LANG", "LD_PRELOAD", "LD_ORIGIN_PATH", "BELLJAR_CHANNEL", "BELLJAR_PAGE",
        "BELLJAR_WINDOW", "BELLJAR_STRICT",
    ]  # fmt: skip
    assert ("PASSED=host's",) in every(plan, "env", 1)


def test_what_is_sensitive_in_a_write_grant_is_shown_read_only(lay: Lay, project: Path) -> None:
    (project / ".git").mkdir()
    (project / ".git/config").touch()
    (project / "rules.toml").touch()
    policy = Policy(grants=(Grant("write", str(project), "--write"),))
    plan = lay(policy, protect=(str(project / "rules.toml"),))
    shown = binds(plan)
    assert shown[str(project)][1] == "wi"
    assert shown[str(project / ".git")][1] == "o"
    assert shown[str(project / "rules.toml")][1] == "o"
    order = [path for _, path, *_ in every(plan, "bind", 5)]
    assert order.index(str(project)) < order.index(str(project / ".git"))


def test_programs_bring_fork_exec_and_the_seal(lay: Lay) -> None:
    plan = lay(Policy(grants=(Grant("run", "/usr/bin/env", "--run"),)))
    assert {("fork",), ("exec",)} <= set(every(plan, "allow", 1))
    assert plan.sealed
    assert Grant("run", "/usr/bin/env", "runtime") in plan.implicit


def test_without_programs_nothing_may_fork_or_exec(lay: Lay) -> None:
    plan = lay()
    assert set(every(plan, "allow", 1)) == {("metadata",)}
    assert not plan.sealed


def test_programs_need_namespaces(lay: Lay) -> None:
    with pytest.raises(PolicyError, match=r"^--run: run: programs need a PID namespace"):
        lay(Policy(grants=(Grant("run", "/usr/bin/env", "--run"),)), tier="landlock")


def test_limits_round_up_and_threads_are_counted_where_nobody_else_is(lay: Lay) -> None:
    policy = Policy(limits=Limits(cpu=0.5, wall=2.5, threads=5, memory=1 << 20))
    limits = {name: (soft, hard) for name, soft, hard in every(lay(policy), "limit", 3)}
    assert limits["cpu"] == ("1", "2")
    assert limits["nproc"] == ("6", "6")
    assert limits["data"] == (str(1 << 20), str(1 << 20))
    assert every(lay(policy), "wall", 1) == [("3500",)]
    beside = {name for name, *_ in every(lay(policy, tier="landlock"), "limit", 3)}
    assert "nproc" not in beside


def test_addresses_are_handed_over_as_bytes(lay: Lay) -> None:
    policy = Policy(
        grants=(
            Grant("connect", "tcp:10.0.0.0/8:80", "--connect"),
            Grant("connect", "tcp:[::1]:*", "--connect"),
        )
    )
    assert every(lay(policy), "connect", 4) == [
        ("2", "0a000000", "8", "80"),
        ("10", "0" * 31 + "1", "128", "65536"),
    ]


def test_the_working_directory_is_kept_only_where_a_grant_shows_it(lay: Lay, project: Path) -> None:
    assert every(lay(), "cwd", 1) == [("/box",)]
    granted = lay(Policy(grants=(Grant("read", str(project), "--read"),)))
    assert every(granted, "cwd", 1) == [(str(project),)]


def test_the_interpreter_is_isolated(lay: Lay, runtime: Runtime) -> None:
    arguments = [argument for (argument,) in every(lay(), "arg", 1)]
    assert arguments[:4] == [runtime.program, "-I", "-S", "-B"]
    assert arguments[-1] == "/belljar/boot.py"


def test_what_waits_needs_two_more_files_and_nothing_else_has_them(
    lay: Lay, outside_tmp: Path
) -> None:
    for tier in ("user", "landlock"):
        assert not [word for word in words(lay(tier=tier)) if "answers" in word]
    waiting = words(lay(settings="ask\tos.system\n"))
    at = waiting.index("/belljar/settings")
    assert waiting[at - 1 : at + 2] == ["file", "/belljar/settings", "ask\tos.system\n"]
    assert "BELLJAR_SETTINGS=/belljar/settings" in waiting
    assert "BELLJAR_ANSWERS=/belljar/answers" in waiting
    assert waiting[waiting.index("/belljar/answers") - 1] == str(outside_tmp / "answers")


def test_without_namespaces_the_settings_are_a_file_beside_the_channel(
    lay: Lay, outside_tmp: Path
) -> None:
    waiting = words(lay(tier="landlock", settings="ask\tos.system\n"))
    assert (outside_tmp / "settings").read_text() == "ask\tos.system\n"
    assert f"BELLJAR_SETTINGS={outside_tmp}/settings" in waiting
    at = waiting.index(f"{outside_tmp}/answers")
    assert waiting[at - 1 : at + 2] == ["land", f"{outside_tmp}/answers", "rw"]
