"""What something outside obeys or executes: which files those are, and who wrote them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from belljar.confine.sensitive import NAMES, Place, beneath, check_own, ours, places, signature
from belljar.errors import PolicyError
from belljar.model import Grant


def write(path: object, source: str = "") -> Grant:
    return Grant("write", str(path), "policy.toml:3", source)


def guests(*grants: Grant, cwd: str = "/", also: tuple[str, ...] = ()) -> list[str]:
    """What is protected, by the guest's names."""
    return [place.guest for place in places(grants, cwd, also)]


def test_every_name_is_looked_for_in_the_top_of_a_write_grant() -> None:
    assert guests(write("/p")) == [f"/p/{name}" for name in NAMES]
    for name in (".git", ".venv", "pyproject.toml", "conftest.py"):
        assert f"/p/{name}" in guests(write("/p"))


def test_the_working_directory_inside_a_write_grant_is_looked_at_too() -> None:
    assert {"/p/.venv", "/p/sub/.venv"} <= set(guests(write("/p"), cwd="/p/sub"))
    assert "/pub/.venv" not in guests(write("/p"), cwd="/pub")


def test_a_working_directory_that_is_the_grant_is_named_once() -> None:
    found = guests(write("/p"), cwd="/p")
    assert len(found) == len(set(found)) == len(NAMES)


def test_what_a_write_grant_names_is_meant() -> None:
    found = guests(write("/p"), write("/p/.git"), write("/p/.venv"))
    assert {"/p/.git", "/p/.venv"}.isdisjoint(found)
    assert {"/p/venv", "/p/.github"} <= set(found)


def test_a_grant_of_one_file_inside_leaves_the_rest_protected() -> None:
    found = guests(write("/p"), write("/p/.git/index"))
    assert "/p/.git" in found  # its hooks and its configuration are named by no grant


def test_other_rights_need_no_protection() -> None:
    assert guests(Grant("read", "/p", "--read"), cwd="/p", also=("/p/policy.toml",)) == []


def test_the_policy_itself_is_protected_inside_a_write_grant() -> None:
    found = guests(write("/p"), also=("/p/rules/policy.toml", "/q/policy.toml"))
    assert "/p/rules/policy.toml" in found
    assert "/q/policy.toml" not in found


def test_directories_between_the_grant_and_what_it_holds_are_told() -> None:
    found = places((write("/p"),), "/", ("/p/a/b/policy.toml",))
    above = (("/p/a", "/p/a"), ("/p/a/b", "/p/a/b"))
    assert Place("/p/a/b/policy.toml", "/p/a/b/policy.toml", above) in found
    assert Place("/p/.git", "/p/.git", ()) in found


def test_what_a_mapped_grant_holds_is_known_by_both_names(tmp_path: Path) -> None:
    found = places((write("/out", str(tmp_path)),), "/", (f"{tmp_path}/sub/policy.toml",))
    assert Place("/out/.git", f"{tmp_path}/.git", ()) in found
    assert found[-1] == Place(
        "/out/sub/policy.toml", f"{tmp_path}/sub/policy.toml", (("/out/sub", f"{tmp_path}/sub"),)
    )


def test_a_grant_through_a_link_protects_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to("real")
    found = places((write(tmp_path / "alias"),), "/")
    assert Place(f"{tmp_path}/alias/.venv", f"{tmp_path}/real/.venv", ()) in found


def test_a_policy_file_that_is_granted_itself_is_meant(tmp_path: Path) -> None:
    path = str(tmp_path / "policy.toml")
    assert path not in guests(write(path), also=(path,))


def test_belljar_and_the_environments_are_ours(tmp_path: Path) -> None:
    site = tmp_path / "env/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (tmp_path / "env/pyvenv.cfg").touch()
    found = ours((str(site),), "/base/bin/python3.11")
    assert {str(site), str(tmp_path / "env"), "/base/bin", os.path.dirname(os.__file__)} <= set(
        found
    )
    package = os.path.dirname(
        os.path.dirname(os.path.abspath(sys.modules[beneath.__module__].__file__ or ""))
    )
    assert package in found


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
