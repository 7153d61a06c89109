"""A sink's file is an instruction to whoever feeds sinks, who may be root: which are obeyed, and
whereto the way of a file or socket may lead."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from belljar.errors import LedgerError, UsageError
from belljar.ledger import Writer
from belljar.ledger.reader import verify
from belljar.ledger.sinks import folder as folders
from belljar.ledger.sinks import store, walk
from belljar.ledger.sinks.config import parse
from belljar.ledger.sinks.forward import Feeds, Forwarder, flush

from .conftest import Feeding, eventually, fill

STRANGER = 54321


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a file somebody else's; where we are not root, it is us who become somebody else."""

    def away(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, STRANGER, -1, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: STRANGER)

    return away


@pytest.fixture
def sink(directory: str, tmp_path: Path) -> Path:
    """A ledger with a sink and something to send; the sink's own file."""
    with Writer(directory) as writer:
        fill(writer, 50)
    made = store.add(directory, parse(f"jsonl:{tmp_path}/out"), every_run=True, first=1)
    return Path(directory, "sinks", f"{made.sink.id}.json")


def test_a_sink_that_somebody_else_wrote_is_not_obeyed(
    directory: str, sink: Path, tmp_path: Path, give: Callable[[Path], None]
) -> None:
    give(sink)
    flush(directory, 0.2) if os.geteuid() == 0 else None
    assert not (tmp_path / "out").exists()
    with pytest.raises(LedgerError, match="belongs to another user"):
        store.load(directory, sink.stem, ours=True)
    assert store.load(directory, sink.stem) is not None  # who only verifies may read it


def test_a_folder_of_sinks_that_somebody_else_owns_is_not_obeyed_and_the_clerk_is_told(
    directory: str, sink: Path, give: Callable[[Path], None]
) -> None:
    give(sink.parent)
    with pytest.raises(LedgerError, match="sinks belongs to another user"):
        Feeds(directory)
    forwarder = Forwarder(directory)
    with pytest.raises(LedgerError, match="nothing is sent for it"):
        forwarder.step()
    assert forwarder.pid == 0
    assert forwarder.step() > 1  # and not again for a while
    assert store.names(directory) == [sink.stem]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_sink_that_others_may_write_is_not_obeyed(directory: str, sink: Path, mode: int) -> None:
    sink.chmod(mode)
    with pytest.raises(LedgerError, match=r"can be written by others.*chmod go-w"):
        store.load(directory, sink.stem, ours=True)
    sink.chmod(0o600)
    sink.parent.chmod(0o770)
    with pytest.raises(LedgerError, match="can be written by others"):
        store.names(directory, ours=True)
    sink.parent.chmod(0o700)


def test_a_sink_is_never_read_through_a_link_from_a_fifo_or_without_end(
    directory: str, sink: Path, tmp_path: Path
) -> None:
    text = sink.read_bytes()
    other = tmp_path / "other"
    other.write_bytes(text)
    sink.unlink()
    sink.symlink_to(other)
    with pytest.raises(LedgerError, match="cannot read"):
        store.load(directory, sink.stem)
    sink.unlink()
    os.mkfifo(sink)
    with pytest.raises(LedgerError, match="no regular file"):
        store.load(directory, sink.stem)
    sink.unlink()
    sink.write_bytes(b" " * (folders.MOST_BYTES + 1))
    with pytest.raises(LedgerError, match="longer than"):
        store.load(directory, sink.stem)


def test_a_folder_that_is_a_link_is_neither_read_nor_written(
    directory: str, sink: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    sink.parent.rename(elsewhere)
    sink.parent.symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    for what in (
        lambda: store.names(directory),
        lambda: store.add(directory, parse("journald:"), every_run=True),
        lambda: store.ledger_id(directory),
        lambda: store.remove(directory, sink.stem),
    ):
        with pytest.raises(LedgerError, match="cannot read"):
            what()
    assert sorted(elsewhere.iterdir()) == before


def test_sinks_of_somebody_elses_ledger_are_registered_by_that_user(
    directory: str, sink: Path, give: Callable[[Path], None]
) -> None:
    give(Path(directory))
    with pytest.raises(LedgerError, match="registered by its user"):
        store.add(directory, parse("journald:"), every_run=True)


@pytest.mark.parametrize("rubbish", [b"", b"[]", b'{"sink": 1}', b"\xff", b"[" * 100_000])
def test_a_sinks_file_of_rubbish_is_no_sink(directory: str, sink: Path, rubbish: bytes) -> None:
    sink.write_bytes(rubbish)
    assert store.load(directory, sink.stem) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("runs", ["no hex"]), ("runs", {}), ("spans", [[1]]), ("spans", 3), ("totals", [3])],
)
def test_a_position_of_rubbish_starts_at_the_registration(
    directory: str, sink: Path, key: str, value: object
) -> None:
    flush(directory, 10)
    at = sink.with_suffix(".at")
    at.write_text(json.dumps({**json.loads(at.read_bytes()), key: value}))
    known = store.load(directory, sink.stem)
    assert known is not None
    assert store.position(directory, known).next == 1


def test_a_sink_into_the_ledger_itself_is_refused(directory: str, sink: Path) -> None:
    with pytest.raises(UsageError, match="in the ledger itself"):
        store.add(directory, parse(f"jsonl:{directory}/ledger.blj"), every_run=True)


def test_a_sink_that_was_never_ours_does_not_make_a_ledger_fail_to_verify(
    directory: str, sink: Path
) -> None:
    sink.with_suffix(".at").write_bytes(b"\xff")
    assert verify(directory).entries == 50


# -- the way to a file


def test_a_link_of_somebody_else_on_the_way_is_not_followed(
    tmp_path: Path, give: Callable[[Path], None]
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.close(walk.append_to(str(tmp_path / "link" / "ours")))  # one of ours is
    give(tmp_path / "link")
    with pytest.raises(OSError, match="a symbolic link of another user's"):
        walk.append_to(str(tmp_path / "link" / "out"))
    assert os.listdir(tmp_path / "real") == ["ours"]


def test_links_of_ours_lead_up_and_round_as_they_would(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to("../b")
    (tmp_path / "b").symlink_to(tmp_path / "c")
    (tmp_path / "c").mkdir()
    fd = walk.append_to(f"{tmp_path}//a/./up/out")
    assert os.path.samestat(os.fstat(fd), os.stat(tmp_path / "c" / "out"))
    assert walk.same(f"{tmp_path}/a/up/out", fd)
    os.close(fd)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic link"):
        walk.append_to(f"{tmp_path}/loop/out")
    with pytest.raises(NotADirectoryError):
        walk.append_to(f"{tmp_path}/c/out/x")


def test_a_file_that_is_another_users_or_has_a_second_name_is_not_written(
    tmp_path: Path, give: Callable[[Path], None]
) -> None:
    one = tmp_path / "one"
    one.write_text("")
    os.link(one, tmp_path / "two")
    with pytest.raises(OSError, match="second name"):
        walk.append_to(str(one))
    os.unlink(tmp_path / "two")
    os.close(walk.append_to(str(one)))
    give(one)
    with pytest.raises(OSError, match="another user"):
        walk.append_to(str(one))


def test_a_socket_of_another_user_in_a_directory_for_everybody_is_not_sent_to(
    tmp_path: Path, give: Callable[[Path], None]
) -> None:
    place = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(place))
        (tmp_path / "log").symlink_to(place)
        walk.connect(str(tmp_path / "log"), socket.SOCK_DGRAM).close()  # /dev/log is such a link
        give(place)
        if os.geteuid() == 0:
            walk.connect(str(place), socket.SOCK_DGRAM).close()
        tmp_path.chmod(0o1777)
        with pytest.raises(OSError, match="another user"):
            walk.connect(str(place), socket.SOCK_DGRAM)


def test_a_file_in_the_place_of_ours_stops_the_sink_and_says_why(
    directory: str, sink: Path, tmp_path: Path, feeding: Callable[..., Feeding]
) -> None:
    (tmp_path / "victim").write_text("precious\n")
    os.link(tmp_path / "victim", tmp_path / "swapped")
    feed = feeding(f"jsonl:{tmp_path / 'swapped'}")
    eventually(lambda: feed.feed.where.state == "waiting")
    assert "second name" in feed.feed.where.why
    assert (tmp_path / "victim").read_text() == "precious\n"
