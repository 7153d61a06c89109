"""Grants become mounts, Landlock rules and the window's table; the three never disagree."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from belljar.confine.sensitive import Place
from belljar.confine.view import View, add_grants, shield
from belljar.errors import PolicyError
from belljar.model import Grant


@pytest.fixture
def tree(outside_tmp: Path) -> Path:
    (outside_tmp / "data/inner").mkdir(parents=True)
    (outside_tmp / "data/inner/file").touch()
    (outside_tmp / "other").mkdir()
    return outside_tmp


def granted(*grants: Grant, isolated: bool = True) -> View:
    view = View(isolated)
    add_grants(view, grants)
    return view


def grant(right: str, path: object, source: str = "", optional: bool = False) -> Grant:
    return Grant(right, str(path), f"policy.toml:{len(right)}", source, optional)


def flags(view: View, path: object) -> str:
    """Those of the last mount at `path`: it lies on top."""
    words = view.plan()
    assert words[::6] == ["bind"] * (len(words) // 6)
    return dict(zip(words[2::6], words[3::6], strict=True))[str(path)]


def place(path: object, *above: object) -> Place:
    return Place(str(path), str(path), tuple((str(a), str(a)) for a in above))


def test_a_read_grant_is_a_read_only_mount(tree: Path) -> None:
    view = granted(grant("read", tree / "data"))
    stat = os.stat(tree / "data")
    path = str(tree / "data")
    assert view.plan() == ["bind", path, path, "o", str(stat.st_dev), str(stat.st_ino)]
    assert view.land == {path: "rlt"}
    assert view.window == {path: "rl"}


def test_a_write_grant_gives_no_reading(tree: Path) -> None:
    view = granted(grant("write", tree / "data"))
    assert flags(view, tree / "data") == "wi"
    assert view.land == view.window == {str(tree / "data"): "w"}


def test_a_list_grant_gives_no_reading(tree: Path) -> None:
    view = granted(grant("list", tree / "data"))
    assert (flags(view, tree / "data"), view.window) == ("o", {str(tree / "data"): "l"})


def test_grants_on_one_path_are_united(tree: Path) -> None:
    view = granted(grant("read", tree / "data"), grant("write", tree / "data"))
    assert flags(view, tree / "data") == "wi"
    assert set(view.window[str(tree / "data")]) == set("rlw")


def test_a_read_grant_inside_a_write_grant_keeps_the_write(tree: Path) -> None:
    view = granted(grant("read", tree / "data/inner"), grant("write", tree / "data"))
    assert flags(view, tree / "data/inner") == "wi"
    assert set(view.land[str(tree / "data/inner")]) == set("rlw")
    assert set(view.window[str(tree / "data/inner")]) == set("rlw")
    assert view.window[str(tree / "data")] == "w"


def test_a_write_grant_inside_a_read_grant_does_not_widen_what_is_above(tree: Path) -> None:
    view = granted(grant("write", tree / "data/inner"), grant("read", tree / "data"))
    assert flags(view, tree / "data") == "o"
    assert view.window[str(tree / "data")] == "rl"
    assert set(view.window[str(tree / "data/inner")]) == set("rlw")


def test_nested_grants_take_the_rights_of_all_above(tree: Path) -> None:
    view = granted(
        grant("list", tree / "data/inner/file"),
        grant("read", tree / "data/inner"),
        grant("write", tree / "data"),
    )
    assert set(view.window[str(tree / "data/inner/file")]) == set("rlw")


def test_a_neighbour_with_the_same_beginning_is_not_inside(tree: Path) -> None:
    (tree / "data-two").mkdir()
    view = granted(grant("write", tree / "data"), grant("read", tree / "data-two"))
    assert flags(view, tree / "data-two") == "o"
    assert view.window[str(tree / "data-two")] == "rl"


def test_outer_mounts_come_before_inner_ones(tree: Path) -> None:
    view = granted(grant("read", tree / "data/inner"), grant("write", tree / "data"))
    assert view.plan()[2::6] == [str(tree / "data"), str(tree / "data/inner")]


def test_a_missing_path_is_refused_with_its_place_and_the_remedy(tree: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        granted(grant("read", tree / "none"))
    assert str(caught.value) == (
        f"policy.toml:4: read = {tree}/none: No such file or directory; prefix it with - if it "
        f"may be missing"
    )


def test_a_missing_path_that_may_be_missing_is_left_out(tree: Path) -> None:
    view = View(isolated=True)
    found = add_grants(
        view, (grant("read", tree / "none", optional=True), grant("read", tree / "data"))
    )
    assert [g.target for g in found] == [str(tree / "data")]
    assert list(view.window) == [str(tree / "data")]


def test_what_cannot_be_looked_at_is_no_missing_path(tree: Path) -> None:
    below = tree / "data/inner/file/below"
    with pytest.raises(PolicyError, match=r"Not a directory$"):
        granted(grant("read", below, optional=True))


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("right", ["read", "write", "list"])
@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "link to a device"])
def test_neither_a_file_nor_a_directory_is_refused_with_its_place(
    tree: Path, kind: str, right: str, optional: bool
) -> None:
    path = tree / "special"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    else:
        path.symlink_to("/dev/null")
    mapped = Grant(right, "/data", "policy.toml:9", str(path), optional)
    source = "/dev/null" if kind == "device" else str(path)
    with pytest.raises(PolicyError) as caught:
        granted(mapped.replace(source=source))
    assert str(caught.value) == (
        f"policy.toml:9: {right} = {source}: neither a file nor a directory"
    )


@pytest.mark.parametrize("ours", ["/belljar", "/box", "/dev", "/proc", "/sys"])
@pytest.mark.parametrize("below", ["", "/x"])
@pytest.mark.parametrize("right", ["read", "write", "list"])
def test_our_own_places_in_the_guest_are_refused(
    tree: Path, ours: str, below: str, right: str
) -> None:
    with pytest.raises(PolicyError, match=rf"^policy\.toml:9: .*{ours} in the guest is Belljar's"):
        granted(Grant(right, ours + below, "policy.toml:9", str(tree / "data")))


def test_a_place_that_only_begins_like_ours_is_free(tree: Path) -> None:
    view = granted(grant("read", "/boxes", str(tree / "data")))
    assert view.plan()[:3] == ["bind", str(tree / "data"), "/boxes"]


def test_one_path_from_two_sources_is_refused(tree: Path) -> None:
    with pytest.raises(PolicyError, match=r"/in is granted twice, from different places"):
        granted(
            grant("read", "/in", str(tree / "data")), grant("write", "/in", str(tree / "other"))
        )


def test_a_link_is_resolved_once_and_pinned(tree: Path) -> None:
    (tree / "alias").symlink_to("data")
    view = granted(grant("read", tree / "alias"))
    stat = os.stat(tree / "data")
    assert view.plan() == [
        "bind", str(tree / "data"), str(tree / "alias"), "o", str(stat.st_dev), str(stat.st_ino)
    ]  # fmt: skip


def test_without_namespaces_links_and_mapped_paths_are_refused(tree: Path) -> None:
    (tree / "alias").symlink_to("data")
    for asked in (grant("read", tree / "alias"), grant("read", "/in", str(tree / "data"))):
        with pytest.raises(PolicyError, match=rf"grant {tree}/data itself$"):
            granted(asked, isolated=False)
    view = granted(grant("read", tree / "data"), isolated=False)
    assert (view.plan(), view.land) == ([], {str(tree / "data"): "rl"})


def test_rights_that_are_no_files_are_left_alone() -> None:
    view = View(isolated=True)
    assert add_grants(view, (Grant("connect", "tcp:1.2.3.4:5", ""), Grant("run", "/x", ""))) == []
    assert (view.plan(), view.land) == ([], {})


def test_a_shield_takes_the_write_and_leaves_the_rest(tree: Path) -> None:
    inner = tree / "data/inner"
    view = granted(grant("read", tree / "data"), grant("write", tree / "data"))
    shield(view, place(inner))
    assert flags(view, inner) == "o"
    assert view.window[str(inner)] == "rl"
    assert set(view.window[str(tree / "data")]) == set("rlw")


def test_a_shield_in_what_may_only_be_written_leaves_nothing(tree: Path) -> None:
    view = granted(grant("write", tree / "data"))
    shield(view, place(tree / "data/inner"))
    assert view.window[str(tree / "data/inner")] == "-"


def test_what_does_not_exist_or_is_a_link_is_not_shielded(tree: Path) -> None:
    (tree / "data/alias").symlink_to("inner")
    view = granted(grant("write", tree / "data"))
    before = view.plan()
    shield(view, place(tree / "data/none"))
    shield(view, place(tree / "data/alias"))
    assert view.plan() == before


def test_what_is_above_a_shield_is_held_in_its_place(tree: Path) -> None:
    view = granted(grant("write", tree))
    for name in ("file", "file2"):
        (tree / "data/inner" / name).touch()
        shield(view, place(tree / "data/inner" / name, tree / "data", tree / "data/inner"))
    assert flags(view, tree / "data") == flags(view, tree / "data/inner") == "wi"
    assert flags(view, tree / "data/inner/file") == "o"
    mounted = view.plan()[2::6]
    assert len(mounted) == len(set(mounted))
    assert mounted.index(str(tree / "data")) < mounted.index(str(tree / "data/inner"))


def test_mounts_are_attached_after_those_above_them() -> None:
    view = View(isolated=True)
    for path in ("/a/b", "/a-b", "/a", "/a/b/c"):
        view.bind("/x", path, "", "r")
    view.directory("/box")
    assert view.plan()[:2] == ["dir", "/box"]
    order = view.plan()[4::6]
    assert order.index("/a") < order.index("/a/b") < order.index("/a/b/c")


def test_a_grant_over_the_runtimes_own_mount_keeps_it_executable(tree: Path) -> None:
    view = View(isolated=True)
    view.bind(str(tree / "data"), str(tree / "data"), "x", "r")
    assert add_grants(view, (grant("read", tree / "data"),)) != []
    assert flags(view, tree / "data") == "x"
    with pytest.raises(PolicyError, match=r"is executable in the guest; grant less$"):
        add_grants(view, (grant("write", tree / "data"),))


def test_a_mapped_grant_over_the_runtime_is_refused(tree: Path) -> None:
    view = View(isolated=True)
    view.bind(str(tree / "data"), "/usr/lib/python", "x", "r")
    with pytest.raises(PolicyError, match=r"the runtime's own /usr/lib/python lies there$"):
        add_grants(view, (grant("read", "/usr/lib", str(tree / "other")),))


def test_the_table_of_the_window_skips_what_would_be_another_line() -> None:
    view = View(isolated=True)
    view.allow("/a", "rwxp")
    view.allow("/b\nrlw\t/", "r")
    view.allow("/c", "x")
    assert view.window_text() == "rw\t/a\n-\t/c\n"


def test_rights_of_a_path_are_united_over_calls() -> None:
    view = View(isolated=True)
    view.allow("/a", "r")
    view.allow("/a", "rx")
    assert view.rules() == ["land", "/a", "rx"]
    assert view.window["/a"] == "r"


def test_without_namespaces_nothing_is_generated() -> None:
    view = View(isolated=False)
    view.file("/etc/x", "text")
    view.link("/a", "/b")
    view.directory("/box")
    assert (view.plan(), view.land, view.window) == ([], {}, {})
