"""An upper layer compared with the host's directory, and taken over: no kernel needed but files."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from belljar.confine.overlay import changes
from belljar.confine.overlay import removal as remove
from belljar.confine.overlay.changes import leads_out
from belljar.confine.overlay.merge import Busy, Pending, drop, find, stores
from belljar.errors import BelljarError

LATE = 2**62  # a run that began after everything on this disk


class Made:
    """A store made by hand, and its directory."""

    def __init__(self, base: Path) -> None:
        self.host = base / "host"
        self.store = base / "state/belljar/overlays/0a"
        self.upper = self.store / "data/upper"
        for folder in (self.host, self.upper):
            folder.mkdir(parents=True)
        self.about(LATE)

    def about(self, started: int) -> None:
        stat = self.host.stat()
        told = {"schema": 1, "directory": str(self.host), "device": stat.st_dev,
                "inode": stat.st_ino, "started": started}  # fmt: skip
        (self.store / "about.json").write_text(json.dumps(told))

    def shown(self, **options: bool) -> list[tuple[str, str, str]]:
        with Pending(find("0a"), **options) as pending:
            return [(c.kind, c.path, c.what) for c in pending.changes()]

    def merge(self, **options: bool) -> list[str]:
        told: list[str] = []
        with Pending(find("0a"), **options) as pending:
            pending.merge(lambda change: told.append(change.path))
        return told


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Made(tmp_path)


def whiteout(path: Path) -> None:
    os.mknod(path, 0o020000, os.makedev(0, 0))  # anyone may make this one


def opaque(path: Path) -> None:
    os.setxattr(path, "user.overlay.opaque", b"y")


def test_a_whiteout_is_a_deletion_and_of_nothing_no_change(made: Made) -> None:
    (made.host / "a").write_text("x")
    whiteout(made.upper / "a")
    whiteout(made.upper / "b")
    assert made.shown() == [("deleted", "a", "file")]
    made.merge()
    assert os.listdir(made.host) == []


def test_what_the_host_changes_between_the_look_and_the_merge_is_not_taken_over(
    made: Made,
) -> None:
    for name in ("a", "b"):
        (made.host / name).write_text("host")
        (made.upper / name).write_text("guest")
    time.sleep(0.05)  # the clock of a file system ticks a hundred times a second, or more
    made.about(time.time_ns())
    with Pending(find("0a")) as pending:
        assert [change.later for change in pending.changes()] == [False, False]
        time.sleep(0.05)
        (made.host / "b").write_text("newer")
        with pytest.raises(BelljarError, match=r"b: the host changed it just now.*1 changes were"):
            pending.merge(lambda _change: None)
        assert (made.host / "b").read_text() == "newer"
        pending.merge(lambda _change: None, force=True)
    assert [(made.host / name).read_text() for name in ("a", "b")] == ["guest", "guest"]


def test_an_opaque_directory_hides_what_the_host_has(made: Made) -> None:
    for path in (made.host / "d/old", made.host / "d/kept"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("same")
    (made.upper / "d").mkdir()
    opaque(made.upper / "d")
    (made.upper / "d/kept").write_text("same")
    (made.upper / "d/new").write_text("new")
    shown = [("deleted", "d/old", "file"), ("added", "d/new", "file")]
    assert made.shown() == shown
    made.merge()
    assert sorted(os.listdir(made.host / "d")) == ["kept", "new"]
    assert made.shown() == []


def test_a_file_instead_of_a_directory_and_the_other_way_round(made: Made) -> None:
    (made.host / "d/deep").mkdir(parents=True)
    (made.host / "d/deep/file").write_text("x")
    (made.host / "f").write_text("x")
    (made.upper / "d").write_text("now a file")
    (made.upper / "f/inner").mkdir(parents=True)
    assert made.shown() == [
        ("changed", "d", "file"),
        ("changed", "f", "directory"),
        ("added", "f/inner", "directory"),
    ]
    made.merge()
    assert (made.host / "d").read_text() == "now a file"
    assert (made.host / "f/inner").is_dir()


def test_special_files_and_set_id_bits_are_not_taken_over(made: Made) -> None:
    os.mkfifo(made.upper / "fifo")
    (made.upper / "run").write_text("x")
    (made.upper / "run").chmod(0o6755)
    (made.upper / "dir").mkdir()
    (made.upper / "dir").chmod(0o2777)
    if os.geteuid() == 0:
        os.mknod(made.upper / "null", 0o020666, os.makedev(1, 3))
    kinds = {path: kind for kind, path, _ in made.shown()}
    assert kinds.pop("null", "refused") == "refused"
    assert kinds == {"dir": "added", "fifo": "refused", "run": "added"}
    made.merge()
    assert sorted(os.listdir(made.host)) == ["dir", "run"]
    assert (made.host / "run").stat().st_mode & 0o7777 == 0o755
    assert (made.host / "dir").stat().st_mode & 0o7000 == 0


def test_links_that_lead_out_are_refused_until_asked_for(made: Made) -> None:
    (made.upper / "in").symlink_to("x")
    (made.upper / "out").symlink_to("/etc")
    (made.upper / "up").symlink_to("../x")
    assert {p for k, p, _ in made.shown() if k == "refused"} == {"out", "up"}
    made.merge()
    assert os.listdir(made.host) == ["in"]
    made.merge(links=True)
    assert os.readlink(made.host / "out") == "/etc"


def test_a_link_of_the_host_is_replaced_and_never_followed(made: Made, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    for name in ("folder", "gone", "mode"):
        (made.host / name).symlink_to(outside)
    (made.host / "file").symlink_to(outside / "file")
    (made.upper / "file").write_text("inside")
    (made.upper / "folder").mkdir()
    (made.upper / "folder/file").write_text("inside")
    whiteout(made.upper / "gone")
    made.merge()
    assert (outside / "file").read_text() == "outside"
    assert os.listdir(outside) == ["file"]
    assert (made.host / "folder/file").read_text() == "inside"
    assert not (made.host / "file").is_symlink()
    assert not (made.host / "gone").is_symlink()


def test_a_file_with_a_second_name_is_replaced_and_not_written(made: Made, tmp_path: Path) -> None:
    for name in ("text", "mode"):
        (tmp_path / name).write_text("same")
        (tmp_path / name).chmod(0o644)
        os.link(tmp_path / name, made.host / name)
    (made.upper / "text").write_text("guest's")
    (made.upper / "mode").write_text("same")
    (made.upper / "mode").chmod(0o777)
    made.merge()
    for name in ("text", "mode"):
        assert (tmp_path / name).read_text() == "same"
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o644
    assert (made.host / "text").read_text() == "guest's"
    assert (made.host / "mode").stat().st_mode & 0o777 == 0o777


def test_a_directory_that_becomes_a_link_while_merging_is_not_entered(
    made: Made, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (made.host / "a").mkdir()
    (made.upper / "a").mkdir()
    for name in ("1", "2"):
        (made.upper / f"a/{name}").write_text("x")
    (made.upper / "b").mkdir()
    (made.upper / "b/1").write_text("x")

    def swap(change: object) -> None:
        if (made.host / "a").is_dir() and not (made.host / "a").is_symlink():
            (made.host / "a").rename(made.host / "moved")
            (made.host / "a").symlink_to(outside)
        if (made.host / "b").is_dir() and not (made.host / "b").is_symlink():
            (made.host / "b").rename(made.host / "moved-b")
            (made.host / "b").symlink_to(outside)

    with Pending(find("0a")) as pending:
        try:
            pending.merge(swap)  # type: ignore[arg-type]
        except BelljarError as error:
            assert "still waits" in str(error)  # noqa: PT017
    assert os.listdir(outside) == []


def test_what_the_host_changed_later_is_marked(made: Made) -> None:
    (made.host / "a").write_text("mine")
    (made.upper / "a").write_text("guest's")
    made.about(1)
    with Pending(find("0a")) as pending:
        assert [change.later for change in pending.changes()] == [True]


def test_what_the_host_changed_in_a_directory_that_goes_is_marked_too(made: Made) -> None:
    for name in ("a", "b"):
        (made.host / name / "deep").mkdir(parents=True)
        (made.host / name / "deep/file").write_text("x")
    whiteout(made.upper / "a")
    (made.upper / "b").write_text("a file now")
    time.sleep(0.05)  # the clock of files has coarse ticks
    made.about(time.time_ns())
    with Pending(find("0a")) as pending:
        assert [change.later for change in pending.changes()] == [False, False]
    time.sleep(0.05)
    for name in ("a", "b"):
        (made.host / name / "deep/file").write_text("mine")
    with Pending(find("0a")) as pending:
        assert [change.later for change in pending.changes()] == [True, True]


def test_the_same_content_again_is_no_change(made: Made) -> None:
    (made.host / "a").write_text("same")
    (made.upper / "a").write_text("same")
    os.chmod(made.upper / "a", (made.host / "a").stat().st_mode & 0o777)
    assert made.shown() == []


def test_a_redirection_or_a_strange_store_is_refused(made: Made) -> None:
    (made.upper / "d").mkdir()
    os.setxattr(made.upper / "d", "user.overlay.redirect", b"/etc")
    assert made.shown() == [("refused", "d", "directory")]
    for name in ("../0a", "0a/../0a", "", "no", "/"):
        with pytest.raises(BelljarError):
            find(name)
    (made.store.parent / "broken").mkdir()
    (made.store.parent / "broken/about.json").write_text("[]")
    assert [store.name for store in stores()] == ["0a"]


def test_a_directory_with_too_many_names_is_not_read_whole_and_can_be_dropped(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST", 50)
    monkeypatch.setattr(remove, "_AT_ONCE", 7)
    for number in range(60):
        (made.upper / f"d{number}").mkdir()
        (made.upper / f"d{number}/f").touch()
    taken = 0
    plain = os.scandir

    def counted(fd: int) -> object:
        entries = plain(fd)

        class Few:
            def __enter__(self) -> object:
                return self

            def __exit__(self, *_: object) -> None:
                entries.close()

            def __iter__(self) -> object:
                return self

            def __next__(self) -> object:
                nonlocal taken
                taken += 1
                return next(entries)

        return Few()

    monkeypatch.setattr(os, "scandir", counted)
    monkeypatch.setattr(os, "listdir", lambda *_: pytest.fail("reads it whole"))
    with pytest.raises(BelljarError, match="more than 50 changes"):
        made.shown()
    assert taken == 51
    drop(find("0a"))
    assert not made.store.exists()


def test_holes_stay_holes(made: Made) -> None:
    with open(made.upper / "f", "wb") as file:
        file.write(b"begin")
        file.truncate(64 << 20)
        file.seek(20 << 20)
        file.write(b"middle")
    made.merge()
    merged = made.host / "f"
    assert merged.read_bytes() == (made.upper / "f").read_bytes()
    assert merged.stat().st_blocks * 512 < 8 << 20


def test_a_locked_store_is_left_alone(made: Made) -> None:
    with Pending(find("0a")):
        with pytest.raises(Busy):
            Pending(find("0a")).__enter__()
        with pytest.raises(Busy):
            drop(find("0a"))
    drop(find("0a"))
    assert stores() == []


def test_a_directory_the_guest_closed_is_opened_and_closed_again(made: Made) -> None:
    (made.upper / "d").mkdir()
    (made.upper / "d/f").write_text("x")
    (made.upper / "d/f").chmod(0)
    (made.upper / "d").chmod(0)
    assert [path for _, path, _ in made.shown()] == ["d", "d/f"]
    assert (made.upper / "d").stat().st_mode & 0o777 == 0
    made.merge()
    assert (made.host / "d").stat().st_mode & 0o777 == 0
    (made.host / "d").chmod(0o700)
    assert (made.host / "d/f").stat().st_mode & 0o777 == 0
    (made.host / "d/f").chmod(0o600)


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a", "../b", True),
        ("a/b", "../c", False),
        ("a/b", "../../c", True),
        ("a/b", "x/../../../c", True),
        ("a", "/etc", True),
        ("a", ".", False),
        ("a/b", "./..//../a", True),
        ("a", "z/..", True),
        ("a/b/c", "z/z/../../d", True),
        ("a/b/c", "../../d/e", False),
    ],
)
def test_where_a_link_leads_by_its_letters(path: str, target: str, out: bool) -> None:
    assert leads_out(path, target) is out
