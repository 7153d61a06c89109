"""What something outside obeys or executes: which files those are, and who wrote them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belljar.confine.sensitive import (
    NAMES,
    beneath,
    check_own,
    distrust,
    places,
    remember,
    signature,
)
from belljar.errors import PolicyError
from belljar.model import Grant


def write(path: object, source: str = "") -> Grant:
    return Grant("write", str(path), "policy.toml:3", source)


def test_every_name_is_looked_for_in_the_top_of_a_write_grant() -> None:
    assert places((write("/p"),), "/elsewhere") == [f"/p/{name}" for name in NAMES]
    for name in (".git/hooks", ".venv", "pyproject.toml", "conftest.py"):
        assert f"/p/{name}" in places((write("/p"),), "/")


def test_the_working_directory_inside_a_write_grant_is_looked_at_too() -> None:
    found = places((write("/p"),), "/p/sub")
    assert {"/p/.venv", "/p/sub/.venv"} <= set(found)
    assert "/pub/.venv" not in places((write("/p"),), "/pub")


def test_a_working_directory_that_is_the_grant_is_named_once() -> None:
    found = places((write("/p"),), "/p")
    assert len(found) == len(set(found)) == len(NAMES)


def test_what_a_write_grant_names_is_meant() -> None:
    found = places((write("/p"), write("/p/.git/config"), write("/p/.venv")), "/")
    assert "/p/.git/config" not in found
    assert "/p/.venv" not in found
    assert "/p/.git/hooks" in found


def test_a_grant_of_one_file_inside_leaves_the_rest_protected() -> None:
    found = places((write("/p"), write("/p/.github/notes.md")), "/")
    assert "/p/.github" in found  # .github/workflows is named by no grant


def test_other_rights_need_no_protection() -> None:
    assert places((Grant("read", "/p", "--read"),), "/p", ("/p/policy.toml",)) == []


def test_the_policy_itself_is_protected_inside_a_write_grant() -> None:
    also = ("/p/rules/policy.toml", "/q/policy.toml")
    found = places((write("/p"),), "/", also)
    assert "/p/rules/policy.toml" in found
    assert "/q/policy.toml" not in found


def test_a_write_grant_over_our_own_files_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "state/belljar"
    own.mkdir(parents=True)
    (tmp_path / "alias").symlink_to("state")
    for grant in (
        write(tmp_path),
        write(own),
        write(own / "below"),
        write(tmp_path / "alias"),
        write("/out", str(own)),
    ):
        with pytest.raises(PolicyError, match=r"^policy\.toml:3: .*holds Belljar's own files"):
            check_own((grant,), ("/nowhere", str(own)))


def test_our_own_directory_behind_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "ledger").symlink_to("real")
    with pytest.raises(PolicyError):
        check_own((write(tmp_path / "real"),), (str(tmp_path / "ledger"),))


def test_reading_our_own_files_and_writing_beside_them_may_be_granted(tmp_path: Path) -> None:
    own = tmp_path / "belljar"
    own.mkdir()
    check_own((Grant("read", str(own), "--read"), write(tmp_path / "belljar-two")), (str(own),))


def test_beneath_goes_by_whole_names() -> None:
    assert beneath("/a", "/a")
    assert beneath("/a/b", "/a")
    assert beneath("/a", "/")
    assert not beneath("/ab", "/a")


def test_a_signature_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert signature(str(path)) is None
    path.write_text("a")
    first = signature(str(path))
    assert first == signature(str(path))
    path.write_text("longer")
    second = signature(str(path))
    path.unlink()
    path.symlink_to("longer")
    assert len({first, second, signature(str(path))}) == 3


def test_what_a_guest_wrote_is_distrusted(tmp_path: Path) -> None:
    cache, path = tmp_path / "cache", tmp_path / "pyproject.toml"
    cache.mkdir()
    path.touch()
    remember(str(cache), str(path))
    with pytest.raises(PolicyError) as caught:
        distrust(str(cache), str(path), "name it")
    assert str(caught.value) == (
        f"{path}: written by a guest in an earlier run; review it, then name it"
    )


def test_a_directory_and_a_link_are_distrusted_too(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (tmp_path / ".venv").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in (".venv", "link"):
        remember(str(cache), str(tmp_path / name))
        with pytest.raises(PolicyError):
            distrust(str(cache), str(tmp_path / name), "name it")


def test_what_its_owner_put_in_its_place_is_trusted(tmp_path: Path) -> None:
    cache, path = tmp_path / "cache", tmp_path / "file"
    cache.mkdir()
    path.touch()
    remember(str(cache), str(path))
    (tmp_path / "new").touch()
    os.replace(tmp_path / "new", path)
    distrust(str(cache), str(path), "name it")
    path.unlink()
    distrust(str(cache), str(path), "name it")


def test_only_the_file_that_was_noted_is_distrusted(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("one", "two"):
        (tmp_path / name).touch()
    distrust(str(cache), str(tmp_path / "one"), "name it")
    remember(str(cache), str(tmp_path / "one"))
    distrust(str(cache), str(tmp_path / "two"), "name it")
    distrust(None, str(tmp_path / "one"), "name it")
