"""Which files an interpreter is made of; a link planted among them is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from belljar.confine.distrust import remember
from belljar.confine.program import Program
from belljar.confine.runtime import Runtime, choose, describe, for_program
from belljar.errors import BelljarError, PolicyError, ProgramNotExecutable, ProgramNotFound

SHORT = "python3.9"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A CPython 3.9 as it is installed, but for its contents."""
    home = tmp_path / "base"
    for name in ("bin", f"lib/{SHORT}/lib-dynload", f"lib/{SHORT}/site-packages"):
        (home / name).mkdir(parents=True)
    (home / f"lib/{SHORT}/os.py").touch()
    (home / f"bin/{SHORT}").touch(mode=0o755)
    return home


@pytest.fixture
def venv(tmp_path: Path, base: Path) -> Path:
    home = tmp_path / "project/.venv"
    (home / "bin").mkdir(parents=True)
    (home / f"lib/{SHORT}/site-packages").mkdir(parents=True)
    (home / "bin/python").symlink_to(base / f"bin/{SHORT}")
    (home / "pyvenv.cfg").write_text("home = x\nInclude-System-Site-Packages = false\n")
    return home


def test_a_base_is_described_by_its_place(base: Path) -> None:
    found = describe(str(base / f"bin/{SHORT}"))
    assert found == Runtime(
        str(base / f"bin/{SHORT}"), "3.9", str(base / f"lib/{SHORT}"),
        str(base / f"lib/{SHORT}/lib-dynload"),
        (str(base / f"lib/{SHORT}/site-packages"),), (), (),
    )  # fmt: skip


def test_a_virtual_environment_hides_the_packages_of_its_base(base: Path, venv: Path) -> None:
    found = describe(str(venv / "bin/python"))
    assert found.program == str(base / f"bin/{SHORT}")
    assert found.site == (str(venv / f"lib/{SHORT}/site-packages"),)
    assert found.hidden == (str(base / f"lib/{SHORT}/site-packages"),)


def test_a_virtual_environment_may_include_the_packages_of_its_base(base: Path, venv: Path) -> None:
    (venv / "pyvenv.cfg").write_text("include-system-site-packages = True\n")
    found = describe(str(venv / "bin/python"))
    assert found.site[1:] == (str(base / f"lib/{SHORT}/site-packages"),)
    assert found.hidden == ()


def replace_by_link(path: Path, target: Path) -> None:
    path.rename(path.with_name(path.name + ".was"))
    path.symlink_to(target)


@pytest.mark.parametrize("part", [f"lib/{SHORT}/site-packages", f"lib/{SHORT}", "lib"])
def test_site_packages_that_lead_out_of_the_environment_are_refused(
    venv: Path, tmp_path: Path, part: str
) -> None:
    (tmp_path / f"secrets/{SHORT}/site-packages").mkdir(parents=True)
    (tmp_path / "secrets/site-packages").mkdir()
    replace_by_link(venv / part, tmp_path / "secrets")
    with pytest.raises(BelljarError, match=r"site-packages leads out of .*\.venv"):
        describe(str(venv / "bin/python"))


def test_site_packages_that_lead_to_a_neighbour_with_the_same_beginning_are_refused(
    venv: Path,
) -> None:
    secret = venv.with_name(".venv-two")
    secret.mkdir()
    replace_by_link(venv / f"lib/{SHORT}/site-packages", secret)
    with pytest.raises(BelljarError, match=r"leads out of"):
        describe(str(venv / "bin/python"))


def test_a_link_that_stays_in_the_environment_is_followed(venv: Path) -> None:
    site = venv / f"lib/{SHORT}/site-packages"
    replace_by_link(site, venv / f"lib/{SHORT}/site-packages.was")
    assert describe(str(venv / "bin/python")).site == (f"{site}.was",)


@pytest.mark.parametrize("part", [f"lib/{SHORT}", "lib", f"lib/{SHORT}/lib-dynload"])
def test_a_standard_library_that_leads_out_of_its_base_is_refused(base: Path, part: str) -> None:
    moved = base.with_name("elsewhere")
    (base / part).rename(moved)
    (base / part).symlink_to(moved)
    with pytest.raises(BelljarError, match=r"leads out of .*base"):
        describe(str(base / f"bin/{SHORT}"))


@pytest.mark.parametrize("named", [f"lib/{SHORT}/site-packages", "lib/python3/dist-packages"])
def test_packages_of_a_base_that_lead_out_of_it_are_refused(
    base: Path, tmp_path: Path, named: str
) -> None:
    (tmp_path / "secrets").mkdir()
    path = base / named
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.rmdir()
    path.symlink_to(tmp_path / "secrets")
    with pytest.raises(BelljarError, match=r"leads out of .*base"):
        describe(str(base / f"bin/{SHORT}"))


def test_shared_libraries_beside_the_interpreter_are_shown_but_no_links(
    base: Path, tmp_path: Path
) -> None:
    (base / "lib/libpython3.9.so.1.0").touch()
    (base / "lib/libother.so").touch()
    (base / "lib/libpython3.9.so").symlink_to(tmp_path)
    assert describe(str(base / f"bin/{SHORT}")).libraries == (
        str(base / "lib/libpython3.9.so.1.0"),
    )


def test_a_launcher_without_a_standard_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch(mode=0o755)
    with pytest.raises(BelljarError, match=r"no standard library beside .*not a launcher or shim"):
        describe(str(tmp_path / "bin/python"))


def test_an_interpreter_that_is_too_old_is_refused(base: Path) -> None:
    (base / f"lib/{SHORT}").rename(base / "lib/python3.7")
    (base / f"bin/{SHORT}").rename(base / "bin/python3.7")
    with pytest.raises(BelljarError, match=r"is CPython 3\.7; 3\.8 is the oldest"):
        describe(str(base / "bin/python3.7"))


def test_our_own_interpreter_is_described_without_running_it() -> None:
    found = describe(sys.executable)
    assert found.program == os.path.realpath(sys.executable)
    assert found.version == "{}.{}.{}".format(*sys.version_info[:3])
    assert os.path.isfile(os.path.join(found.stdlib, "os.py"))


def test_the_interpreter_named_comes_before_all_others(
    base: Path, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(venv))
    named = str(base / f"bin/{SHORT}")
    assert choose(named, str(venv.parent)) == named
    assert choose(f"../base/bin/{SHORT}", str(venv.parent)).endswith(f"base/bin/{SHORT}")
    found = choose("./.venv", str(venv.parent))
    assert os.path.normpath(found) == str(venv / "bin/python")


def test_an_active_environment_comes_before_the_one_beside_us(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert choose(None, str(venv.parent)) == str(venv / "bin/python")
    assert choose(None, str(tmp_path)) == sys.executable
    monkeypatch.setenv("VIRTUAL_ENV", str(venv))
    assert choose(None, str(tmp_path)) == str(venv / "bin/python")


def test_a_name_is_looked_up_in_path(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f":/nowhere:{base}/bin")
    assert choose(SHORT, "/") == str(base / f"bin/{SHORT}")


def test_an_interpreter_that_is_not_there_or_cannot_be_executed_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o644)
    with pytest.raises(ProgramNotFound, match=r"no interpreter /none"):
        choose("/none", str(tmp_path))
    with pytest.raises(ProgramNotFound, match=r"no interpreter no-such-python"):
        choose("no-such-python", str(tmp_path))
    for name in ("./file", "./"):
        with pytest.raises(ProgramNotExecutable):
            choose(name, str(tmp_path))


def test_an_environment_that_a_guest_wrote_is_used_only_when_named(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    cache = tmp_path / "cache"
    cache.mkdir()
    program = Program("code", "pass", (), str(venv.parent))
    assert for_program(program, str(cache)).version == "3.9"
    remember(str(cache), str(venv))
    with pytest.raises(PolicyError, match=r"written by a guest .* --python$"):
        for_program(program, str(cache))
    named = program.replace(python=str(venv / "bin/python"))
    assert for_program(named, str(cache)).version == "3.9"
