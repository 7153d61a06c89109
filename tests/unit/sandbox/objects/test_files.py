"""Open files and sockets that are handed over: the descriptor with its mode, and nothing more."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from bridged import Bridged

from belljar.errors import BelljarError, GuestError
from belljar.sandbox.bridge.objects import Objects


@pytest.fixture
def box() -> Iterator[Bridged]:
    with Bridged(large=True) as one:
        yield one


def test_a_file_is_written_by_the_guest_at_the_place_where_the_host_was(
    box: Bridged, tmp_path: Path
) -> None:
    with open(tmp_path / "out", "wb") as file:
        file.write(b"of the host\n")
        box.share("report", file)
        assert box.run("host.report.write(b'of the guest\\n'); host.report.flush()") is None
        assert box.run("host.report.mode") == "wb"
        with pytest.raises(GuestError, match="UnsupportedOperation"):
            box.run("host.report.read()")
    assert (tmp_path / "out").read_bytes() == b"of the host\nof the guest\n"
    assert box.recorded == [("report", "open", "allow")]


def test_the_guests_descriptor_is_of_the_files_mode_for_the_kernel_too(
    box: Bridged, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("hello é", "utf-8")
    with open(tmp_path / "in", encoding="utf-8") as file:
        assert file.read(2) == "he"
        box.share("text", file)
        assert box.run("host.text.read()") == "llo é"
    with pytest.raises(GuestError, match="Bad file descriptor"):
        box.run("import os; os.write(host.text.fileno(), b'x')")
    with pytest.raises(GuestError):
        box.run("os.ftruncate(host.text.fileno(), 0)")
    assert (tmp_path / "in").read_text("utf-8") == "hello é"


def test_what_the_guest_does_to_its_descriptor_the_hosts_does_not_see(
    box: Bridged, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"0123456789")
    with open(tmp_path / "in", "rb") as file:
        box.share("data", file)
        box.run(
            "import os, fcntl; fd = host.data.fileno(); os.lseek(fd, 7, 0)\n"
            "fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)"
        )
        assert os.get_blocking(file.fileno())
        assert file.read() == b"0123456789"


def test_a_socket_is_handed_over(box: Bridged) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        box.share("line", theirs)
        box.run("host.line.sendall(b'hello')")
        assert ours.recv(5) == b"hello"


def test_a_descriptor_that_the_guest_has_cannot_be_taken_back(box: Bridged, tmp_path: Path) -> None:
    with open(tmp_path / "a", "wb") as first, open(tmp_path / "b", "wb") as second:
        early, late = box.share("early", first), box.share("late", second)
    early.revoke()
    with pytest.raises(GuestError, match="AttributeError"):
        box.run("host.early")
    box.run("host.late")
    with pytest.raises(BelljarError, match="the guest has it for good"):
        late.revoke()


def test_a_file_with_methods_listed_is_an_object_like_others(box: Bridged, tmp_path: Path) -> None:
    with open(tmp_path / "log", "ab") as file:
        box.share("log", file, methods=["write"])
        assert box.run("host.log.write(b'x')") == 1
    assert (tmp_path / "log").read_bytes() == b"x"


def opened(*flags: int, mode: str = "rb") -> object:
    def make(tmp_path: Path) -> object:
        (tmp_path / "file").touch()
        return os.fdopen(os.open(tmp_path / "file", sum(flags)), mode)

    return make


REFUSED = {
    "its append mode": opened(os.O_WRONLY, os.O_APPEND, mode="wb"),
    "allows more than the object": opened(os.O_RDWR, mode="rb"),
    "a file of the kernel's own": lambda _tmp: os.fdopen(os.open("/proc/self/status", 0), "rb"),
    "neither connected nor listening": lambda _tmp: socket.socket(),
    "those of streams": lambda _tmp: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
}


@pytest.mark.parametrize("why", [*REFUSED])
def test_what_could_do_more_than_it_says_is_not_handed_over(why: str, tmp_path: Path) -> None:
    obj = REFUSED[why](tmp_path)
    with obj, pytest.raises(BelljarError, match=why):
        Objects().share("it", obj)


def test_directories_pipes_and_closed_files_are_not_handed_over(tmp_path: Path) -> None:
    class Directory(socket.socket):
        def fileno(self) -> int:
            return number

    number = os.open(tmp_path, os.O_RDONLY)
    one = Directory()
    try:
        with pytest.raises(BelljarError, match="a directory"):
            Objects().share("it", one)
    finally:
        one.close()
        os.close(number)
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as pipe, pytest.raises(BelljarError, match="a pipe"):
        Objects().share("it", pipe)
    with pytest.raises(BelljarError, match="closed"):
        Objects().share("it", pipe)
    number = os.open(tmp_path / "x", os.O_CREAT | os.O_RDWR)
    os.close(number)
    path = os.open(tmp_path / "x", os.O_PATH)
    with Directory() as named:
        number = path
        with pytest.raises(BelljarError, match="O_PATH"):
            Objects().share("it", named)
    os.close(path)


def test_nothing_open_is_left_behind(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with open(tmp_path / "a", "wb") as file:
        objects = Objects()
        objects.share("a", file)
        revoked = objects.share("b", file)
        revoked.revoke()
        objects.close()
    assert len(os.listdir("/proc/self/fd")) == before
