"""`ReadDir` and `AppendFile`: one directory to read, one file to grow, and nothing beside them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pairs import Pair

from belljar.sandbox.caps import AppendFile, ReadDir


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.csv").write_bytes(b"1,2\n")
    (root / "sub" / "deep" / "b").write_bytes(b"b")
    (root / ".env").write_bytes(b"KEY=secret")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "within").symlink_to("a.csv")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    return root


def test_a_guest_reads_and_lists_what_is_beneath(tree: Path) -> None:
    pair = Pair()
    pair.share("data", ReadDir(tree))
    data = pair.host.data
    assert dir(data) == ["list", "read", "size"]
    assert data.list() == ["a.csv", "sub/"]
    assert data.list("sub") == data.list("sub/") == ["deep/"]
    assert data.list() == ["a.csv", "sub/"]  # once more: the place in the directory is not kept
    assert data.read("a.csv") == b"1,2\n"
    assert data.read("sub/deep/b") == b"b"
    assert data.size("a.csv") == 4


@pytest.mark.parametrize(
    "path",
    ["../secret", "sub/../../secret", "/etc/passwd", "out", "within", "up/secret", "pipe", ".env",
     "sub/./deep/b", "sub//deep/b", "", ".", "..", "a.csv/x", "nowhere", "sub/deep/b/", "./a.csv"],
)  # fmt: skip
def test_what_is_not_beneath_does_not_exist(tree: Path, path: str) -> None:
    pair = Pair()
    pair.share("data", ReadDir(tree))
    if path != "sub/deep/b/":
        with pytest.raises(FileNotFoundError) as error:
            pair.host.data.read(path)
        assert str(error.value) == "[Errno 2] No such file or directory"
    if path not in ("", "out"):
        with pytest.raises(OSError):
            pair.host.data.list(path)


@pytest.mark.parametrize(
    ("path", "error"),
    [("a\0b", ValueError), (b"a.csv", TypeError), (7, TypeError), ("x/" * 65, ValueError),
     ("sub", IsADirectoryError), ("\udc80", FileNotFoundError), ("x" * 300, OSError)],
)  # fmt: skip
def test_a_path_that_is_none_is_refused(tree: Path, path: object, error: type) -> None:
    pair = Pair()
    pair.share("data", ReadDir(tree))
    with pytest.raises(error):
        pair.host.data.read(path)


def test_hidden_names_and_sizes_are_the_hosts_choice(tree: Path) -> None:
    pair = Pair()
    pair.share("data", ReadDir(tree, hidden=True, most=3))
    assert pair.host.data.list() == [".env", "a.csv", "sub/"]
    with pytest.raises(ValueError, match="more than 3 bytes"):
        pair.host.data.read(".env")
    assert pair.host.data.read("sub/deep/b") == b"b"


def test_the_directory_is_the_one_that_was_opened(tree: Path) -> None:
    data = ReadDir(tree)
    tree.rename(tree.parent / "moved")
    (tree.parent / "root").symlink_to("/etc")
    assert data.list() == ["a.csv", "sub/"]
    data.close()
    with pytest.raises(OSError):
        data.list()


def test_a_file_only_grows(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"before\n")
    pair = Pair()
    pair.share("log", AppendFile(tmp_path / "log", most=10))
    log = pair.host.log
    assert dir(log) == ["append"]
    assert log.append("é\n") == 3
    assert log.append(b"12345") == 5
    with pytest.raises(ValueError, match="2 bytes may be added, not 3"):
        log.append(b"123")
    with pytest.raises(TypeError, match="bytes or text"):
        log.append([1])
    assert (tmp_path / "log").read_bytes() == "before\né\n12345".encode()


def test_a_file_that_is_appended_to_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("log")
    for name in ("pipe", "link"):
        with pytest.raises((OSError, ValueError)):
            AppendFile(tmp_path / name)
    assert not (tmp_path / "log").exists()
    AppendFile(tmp_path / "new").append("x")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
