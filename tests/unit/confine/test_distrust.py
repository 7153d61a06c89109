"""What a guest wrote, or could have written, is not obeyed unless someone names it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from belljar.confine.distrust import distrust, remember, remember_roots
from belljar.errors import PolicyError
from belljar.model import Grant

LATER = 1 << 62


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """These files are made and noted within one tick."""
    monkeypatch.setattr("belljar.confine.distrust._TICK", 0)


@pytest.fixture
def cache(tmp_path: Path) -> str:
    (tmp_path / "cache").mkdir()
    return str(tmp_path / "cache")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    for name in ("pyproject.toml", "sub/pyproject.toml", "other"):
        (folder / name).touch()
    return folder


def trusted(cache: str | None, path: Path) -> bool:
    try:
        distrust(cache, str(path), "name it")
    except PolicyError as error:
        text = "may have been written by a guest in an earlier run; review it, then name it"
        return str(error) != f"{path}: {text}"
    return True


def test_what_a_guest_wrote_is_distrusted(cache: str, project: Path) -> None:
    path = project / "pyproject.toml"
    assert trusted(cache, path)
    remember(cache, str(path))
    assert not trusted(cache, path)
    assert trusted(cache, project / "other")
    assert trusted(None, path)


def test_a_directory_and_a_link_are_distrusted_too(cache: str, project: Path) -> None:
    (project / ".venv").mkdir()
    (project / "link").symlink_to("nowhere")
    for name in (".venv", "link"):
        remember(cache, str(project / name))
        assert not trusted(cache, project / name)


def test_what_its_owner_put_in_its_place_is_trusted(cache: str, project: Path) -> None:
    path = project / "pyproject.toml"
    remember(cache, str(path))
    os.replace(project / "other", path)
    assert trusted(cache, path)
    path.unlink()
    assert trusted(cache, path)


def test_what_is_gone_already_is_not_noted(cache: str, project: Path) -> None:
    remember(cache, str(project / "none"))
    assert os.listdir(cache) == []


def at(monkeypatch: pytest.MonkeyPatch, nanoseconds: int) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: nanoseconds)


def write(path: object, source: str = "") -> tuple[Grant, ...]:
    return (Grant("write", str(path), "--write", source),)


def test_what_changed_since_guests_could_write_there_is_distrusted(
    cache: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1)
    remember_roots(cache, write(project), shielded=False)
    assert not trusted(cache, project / "pyproject.toml")
    assert not trusted(cache, project / "sub/pyproject.toml")
    assert trusted(cache, project.parent / "cache")


def test_what_is_older_than_the_first_guest_is_trusted(
    cache: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, LATER)
    remember_roots(cache, write(project), shielded=False)
    assert trusted(cache, project / "pyproject.toml")


def test_a_later_run_does_not_make_older_work_trusted(
    cache: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1)
    remember_roots(cache, write(project), shielded=False)
    at(monkeypatch, LATER)
    remember_roots(cache, write(project), shielded=False)
    assert not trusted(cache, project / "pyproject.toml")


def test_a_shield_covers_the_top_of_the_grant_and_no_more(
    cache: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1)
    remember_roots(cache, write(project), shielded=True)
    assert trusted(cache, project / "pyproject.toml")
    assert not trusted(cache, project / "sub/pyproject.toml")
    remember_roots(cache, write(project), shielded=False)
    assert not trusted(cache, project / "pyproject.toml")


def test_roots_are_noted_by_their_real_names_on_the_host(
    cache: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1)
    alias = project.parent / "alias"
    alias.symlink_to(project)
    remember_roots(cache, write("/out", str(alias)), shielded=False)
    assert not trusted(cache, project / "pyproject.toml")
    with pytest.raises(PolicyError):
        distrust(cache, str(alias / "pyproject.toml"), "name it")


def test_reading_leaves_no_note(cache: str, project: Path) -> None:
    remember_roots(cache, (Grant("read", str(project), "--read"),), shielded=False)
    assert os.listdir(cache) == []


def test_a_name_with_a_line_end_cannot_add_a_note(
    cache: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 1)
    remember_roots(cache, write(f"/x\n1 open {project}"), shielded=False)
    assert trusted(cache, project / "pyproject.toml")
