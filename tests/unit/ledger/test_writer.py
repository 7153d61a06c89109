"""Appending: numbers, sharing, refusals, full disks."""

from __future__ import annotations

import errno
import os
import resource
import threading
from pathlib import Path

import pytest

from belljar.errors import LedgerError
from belljar.ledger import DECISIONS, END, EVENTS, MAX_PAYLOAD, START, Writer
from belljar.ledger.format import RECOVERED
from belljar.ledger.reader import read, verify

from .conftest import OTHER, RUN, fill


def test_entries_are_numbered_from_one_over_all_runs(tmp_path: Path) -> None:
    with Writer(str(tmp_path)) as writer:
        assert fill(writer) == [1, 2, 4, 6]
    with Writer(str(tmp_path)) as writer:
        assert fill(writer, OTHER) == [7, 8, 10, 12]
    found = [(r.first, r.name, r.run) for r in read(str(tmp_path), 8)]
    assert found == [(8, "events", OTHER), (10, "decisions", OTHER), (12, "end", OTHER)]


def test_two_writers_continue_each_other(tmp_path: Path) -> None:
    with Writer(str(tmp_path)) as one, Writer(str(tmp_path)) as two:
        numbers = [w.append([(EVENTS, 3, b"x")], RUN)[0] for w in (one, two, two, one, two)]
    assert numbers == [1, 4, 7, 10, 13]
    assert verify(str(tmp_path)).entries == 15


def test_threads_share_one_writer(tmp_path: Path) -> None:
    numbers: list[int] = []
    with Writer(str(tmp_path)) as writer:

        def work() -> None:
            for _ in range(50):
                numbers.extend(writer.append([(EVENTS, 1, b"x" * 3000)], RUN))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers) == list(range(1, 201))
    assert verify(str(tmp_path)).records == 200


def test_a_forked_child_and_its_parent_lock_each_other_out(tmp_path: Path) -> None:
    with Writer(str(tmp_path)) as writer:
        writer.append([(EVENTS, 1, b"parent")], RUN)
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                try:
                    for _ in range(100):
                        writer.append([(EVENTS, 1, b"child" * 2000)], OTHER)
                    writer.close()
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        for _ in range(100):
            writer.append([(EVENTS, 1, b"parent" * 2000)], RUN)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert verify(str(tmp_path)).entries == 401


def test_the_descriptors_do_not_outlive_an_exec(tmp_path: Path) -> None:
    with Writer(str(tmp_path)) as writer:
        held = [
            fd
            for fd in map(int, os.listdir("/proc/self/fd"))
            if os.path.exists(f"/proc/self/fd/{fd}")
            and os.readlink(f"/proc/self/fd/{fd}").startswith(str(tmp_path))
        ]
        assert len(held) == 2
        writer.append([(EVENTS, 1, b"")], RUN)
        assert not os.get_inheritable(writer._use)
        assert not any(os.get_inheritable(fd) for fd in held)


def test_the_ledger_is_for_its_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    with Writer(str(directory)) as writer:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert os.stat(writer.path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_ledger_that_others_can_write_is_refused(ledger: str, mode: int) -> None:
    os.chmod(ledger + "/ledger.blj", mode)
    with pytest.raises(LedgerError, match="others can write it"):
        Writer(ledger)


def test_a_directory_that_anyone_can_write_is_refused(ledger: str) -> None:
    os.chmod(ledger, 0o777)
    with pytest.raises(LedgerError, match="anyone can write it"):
        Writer(ledger)


@pytest.mark.parametrize("what", ["symlink", "fifo", "directory"])
def test_only_a_regular_file_is_a_ledger(tmp_path: Path, what: str) -> None:
    path = tmp_path / "ledger.blj"
    if what == "symlink":
        path.symlink_to(tmp_path / "elsewhere")
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(LedgerError):
        Writer(str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.blj"
    path.write_bytes(b"precious" * 100)
    path.chmod(0o600)
    with pytest.raises(LedgerError, match="not a ledger"):
        Writer(str(tmp_path))
    assert path.read_bytes() == b"precious" * 100
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ((99, 1, b""), ValueError),
        ((RECOVERED, 1, b""), ValueError),
        ((EVENTS, 0, b""), ValueError),
        ((EVENTS, 1 << 32, b""), ValueError),
        ((START, 2, b""), ValueError),
        ((END, 2, b""), ValueError),
        ((DECISIONS, 1, bytes(MAX_PAYLOAD + 1)), LedgerError),
    ],
)
def test_what_cannot_be_a_record_is_refused_with_all_beside_it(
    ledger: str, item: tuple[int, int, bytes], error: type[Exception]
) -> None:
    before = verify(ledger)
    with Writer(ledger) as writer, pytest.raises(error):
        writer.append([(EVENTS, 1, b"fine"), item], RUN)
    with Writer(ledger) as writer, pytest.raises(ValueError, match="16 bytes"):
        writer.append([(EVENTS, 1, b"fine")], b"short")
    assert verify(ledger) == before


def test_the_longest_payload_is_kept(tmp_path: Path) -> None:
    with Writer(str(tmp_path)) as writer:
        writer.append([(EVENTS, 1, bytes(MAX_PAYLOAD))], RUN)
    with Writer(str(tmp_path)) as writer:
        assert writer.append([(EVENTS, 1, b"")], RUN) == [2]
    assert len(next(read(str(tmp_path))).payload) == MAX_PAYLOAD


def test_a_write_that_the_system_cuts_short_is_taken_back(tmp_path: Path) -> None:
    with Writer(str(tmp_path)) as writer:
        writer.append([(EVENTS, 1, b"whole")], RUN)
        before = verify(str(tmp_path))
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (before.complete + 1000, old[1]))
        try:
            with pytest.raises(LedgerError, match=r"cannot append to .*: File too large$"):
                writer.append([(EVENTS, 1, b"x" * 500), (EVENTS, 1, os.urandom(5000))], RUN)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        assert verify(str(tmp_path)) == before
        assert writer.append([(EVENTS, 1, b"again")], RUN) == [2]
    assert verify(str(tmp_path)).entries == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_takes_nothing_back_but_the_unfinished(
    ledger: str, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    before = verify(ledger)
    write = os.write

    def failing(fd: int, data: bytes | memoryview) -> int:
        if len(data) > 1000:
            return write(fd, data[:700])
        raise OSError(code, os.strerror(code))

    with Writer(ledger) as writer:
        monkeypatch.setattr(os, "write", failing)
        with pytest.raises(LedgerError, match=os.strerror(code)):
            writer.append([(EVENTS, 1, b"x" * 1500)], RUN)
        monkeypatch.undo()
        assert verify(ledger) == before
        # Where not even cutting back works, the next append recovers.
        monkeypatch.setattr(os, "write", failing)
        monkeypatch.setattr(os, "ftruncate", lambda fd, _size: failing(fd, b""))
        with pytest.raises(LedgerError):
            writer.append([(EVENTS, 1, b"x" * 1500)], RUN)
        monkeypatch.undo()
        assert verify(ledger).torn == 700
        assert writer.append([(EVENTS, 1, b"again")], RUN) == [8]
    assert (verify(ledger).torn, verify(ledger).recovered) == (0, 1)


def test_an_interrupt_within_a_write_leaves_the_ledger_whole(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = verify(ledger)
    write = os.write

    def interrupted(fd: int, data: bytes) -> int:
        write(fd, data[:100])
        raise KeyboardInterrupt

    with Writer(ledger) as writer, Writer(ledger) as other:
        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append([(EVENTS, 1, b"x" * 1500)], RUN)
        monkeypatch.undo()
        assert verify(ledger) == before
        assert other.append([(EVENTS, 1, b"")], RUN) == [7]


def test_a_deleted_or_shortened_ledger_is_noticed_by_who_writes_it(ledger: str) -> None:
    path = ledger + "/ledger.blj"
    with Writer(ledger) as writer:
        os.truncate(path, os.path.getsize(path) - 100)
        with pytest.raises(LedgerError, match="became shorter"):
            writer.append([(EVENTS, 1, b"")], RUN)
        os.unlink(path)
        with pytest.raises(LedgerError, match="deleted"):
            writer.append([(EVENTS, 1, b"")], RUN)
    with pytest.raises(LedgerError, match="closed"):
        writer.append([(EVENTS, 1, b"")], RUN)


def test_a_corrupt_end_is_neither_cut_nor_continued(ledger: str) -> None:
    path = Path(ledger) / "ledger.blj"
    data = bytearray(path.read_bytes())
    data[-45] ^= 1  # in the payload of the last record
    path.write_bytes(data + b"\xb1L")
    writer_saw = path.read_bytes()
    with Writer(ledger) as writer:  # the flaw is verify's to name; the torn end is cut
        writer.append([(EVENTS, 1, b"")], RUN)
    assert path.read_bytes().startswith(bytes(data))
    path.write_bytes(writer_saw[:-200] + bytes(range(1, 200)))
    with pytest.raises(LedgerError, match="use another directory"):
        Writer(ledger)
    assert path.read_bytes() == writer_saw[:-200] + bytes(range(1, 200))


def test_a_guest_cannot_make_a_torn_end_pass_for_a_record(tmp_path: Path) -> None:
    """A payload that holds records of another ledger, cut exactly behind one of them."""
    with Writer(str(tmp_path / "other")) as other:
        other.append([(EVENTS, 5, b"forged" * 10)], OTHER)
        forged = Path(other.path).read_bytes()
    with Writer(str(tmp_path / "own")) as writer:
        writer.append([(EVENTS, 1, b"whole")], RUN)
        end = os.path.getsize(writer.path)
        writer.append([(EVENTS, 1, forged * 3)], RUN)
    os.truncate(writer.path, end + 56 + len(forged))
    with Writer(str(tmp_path / "own")) as writer:
        assert writer.append([(EVENTS, 1, b"next")], RUN) == [3]
    report = verify(str(tmp_path / "own"))
    assert (report.entries, report.torn, report.recovered) == (3, 0, 1)


@pytest.mark.parametrize(
    ("sync", "expected"), [("never", [0, 0, 0]), ("batch", [0, 1, 2]), ("always", [1, 2, 3])]
)
def test_the_disk_is_waited_for_as_sync_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: str, expected: list[int]
) -> None:
    synced: list[int] = []
    seen = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with Writer(str(tmp_path), sync=sync) as writer:
        for kind in (EVENTS, END, EVENTS):
            seen.append(len(synced))
            writer.append([(kind, 1, b"")], RUN)
        seen.append(len(synced))
    seen.append(len(synced))
    assert [seen[1], seen[2], seen[4]] == expected
    writer.close()
    assert len(synced) == expected[-1]


def test_an_unknown_sync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sync is one of never, batch, always"):
        Writer(str(tmp_path), sync="sometimes")
