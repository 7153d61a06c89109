"""Several books: numbers, hashes and readers go on over their borders, whoever closes them."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import DECISIONS, END, EVENTS, START, Writer, books
from belljar.ledger.books import closed, first_of, name
from belljar.ledger.entries import entry
from belljar.ledger.format import CLOSED
from belljar.ledger.leaf import leaf
from belljar.ledger.reader import Reader, read, verify
from belljar.ledger.runs import find, holding, last_decision, records

from .conftest import OTHER, RUN, fill, frame, packed

BOOK = 2000


def many(directory: str, runs: int = 20) -> None:
    """Runs of six entries each, a book for every few of them."""
    with Writer(directory, book=BOOK, clerk=False) as writer:
        for number in range(runs):
            run = bytes([number + 1]) * 16
            writer.append([(START, 1, packed({"kind": f"k{number}"}))], run)
            writer.append([(EVENTS, 2, frame(seq=1) + frame(seq=2) + b"")], run)
            if number % 7 == 0:
                writer.append([(DECISIONS, 1, packed([{"verdict": "deny"}]))], run)
            writer.append([(END, 1, packed({"exit": number}))], run)


@pytest.fixture
def shelf(tmp_path: Path) -> str:
    directory = str(tmp_path / "ledger")
    many(directory)
    assert len(closed(directory)) > 3
    return directory


def test_numbers_indexes_and_hashes_go_on_over_the_books(shelf: str) -> None:
    found = list(read(shelf))
    assert [record.index for record in found] == list(range(len(found)))
    number = 1
    for record in found:
        assert record.first == number
        number += record.count
    files = list(dict.fromkeys(record.book for record in found))
    assert files == [*(name(first) for first in closed(shelf)), "ledger.blj"]
    assert [r.kind for r in found].count(CLOSED) == len(closed(shelf))
    assert len({record.own for record in found}) == len(found)
    assert {len(leaf(record)) for record in found} == {56}
    report = verify(shelf)
    assert (report.records, report.entries) == (len(found), number - 1)
    assert (report.books, report.pruned) == (len(files), 0)
    assert report.head == found[-1].own


def test_every_entry_is_found_wherever_reading_begins(shelf: str) -> None:
    total = verify(shelf).entries
    for number in range(1, total + 1):
        assert entry(shelf, number).number == number
        record = next(read(shelf, number))
        assert record.first <= number < record.first + record.count
        assert record.index >= 0
    with pytest.raises(LedgerError, match="no entry"):
        entry(shelf, total + 1)


def test_the_last_entries_may_lie_in_several_books(shelf: str) -> None:
    total = verify(shelf).entries
    for wanted in range(total + 2):
        with Reader(shelf) as reader:
            start = reader.skip_to_last(wanted)
            assert start == max(1, total - wanted + 1)
            got = list(reader.records(start))
            if wanted:
                assert got[0].first <= start < got[0].first + got[0].count
            assert sum(r.count for r in got) >= min(wanted, total)


def test_runs_and_decisions_are_found_over_the_books(shelf: str) -> None:
    for number in range(20):
        run = bytes([number + 1]) * 16
        found = find(shelf, run.hex())
        assert (found.run, found.kind) == (run, f"k{number}")
        mine = list(records(shelf, found))
        assert [r.name for r in mine if r.kind != DECISIONS] == ["start", "events", "end"]
        for record in mine:
            assert holding(shelf, record.first) == (found, run)
    assert find(shelf).kind == "k19"
    assert entry(shelf, last_decision(shelf)).run == bytes([15]) * 16


def test_a_reader_follows_over_the_end_of_a_book(tmp_path: Path) -> None:
    directory = str(tmp_path)
    with Writer(directory, book=BOOK) as writer, Reader(directory) as reader:
        got = []
        for _ in range(60):
            fill(writer)
            assert reader.grown()
            got += [record.first for record in reader.records()]
        assert not reader.grown()
    assert got == [record.first for record in read(directory)]


def test_a_place_is_where_a_later_reader_goes_on(shelf: str) -> None:
    everything = [record.own for record in read(shelf)]
    for stop in range(0, len(everything), 5):
        with Reader(shelf) as one:
            each = one.records()
            got = [next(each).own for _ in range(stop)]
            place = one.place()
        with Reader(shelf) as two:
            two.go(place)
            rest = list(two.records(two.position))
        assert [*got, *(r.own for r in rest)] == everything
        assert [r.index for r in rest] == list(range(stop, len(everything)))
    with Reader(shelf) as reader:
        reader.go((*place[:2], bytes(32), *place[3:]))
        with pytest.raises(LedgerCorrupt):
            list(reader.records(reader.position))


def test_writers_notice_that_another_closed_the_book(tmp_path: Path) -> None:
    directory = str(tmp_path)
    writers = [Writer(directory, book=BOOK, clerk=False) for _ in range(3)]
    numbers = []
    for turn in range(120):
        numbers += writers[turn % 3].append([(EVENTS, 1, frame(seq=turn))], RUN)
    idle = Writer(directory, book=BOOK, clerk=False)
    for _ in range(60):
        writers[0].append([(EVENTS, 1, frame())], RUN)
    for first in closed(directory)[:-1]:  # what prune does to books that an idle writer holds
        os.unlink(os.path.join(directory, name(first)))
    assert idle.append([(EVENTS, 1, frame())], RUN)
    for writer in (*writers, idle):
        writer.close()
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("stage", ["link", "prepare", "_put", "replace", "fsync", "rename"])
def test_a_writer_killed_while_it_closes_a_book_leaves_it_to_the_next(
    tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = str(tmp_path)
    child = os.fork()
    if child == 0:
        writer = Writer(directory, book=BOOK, clerk=False, sync="never")
        die = lambda *_a, **_o: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        while os.path.getsize(writer.path) <= BOOK:
            fill(writer)
        target: object = {"link": os, "fsync": os, "rename": os, "_put": writer}.get(stage, books)
        monkeypatch.setattr(target, stage, die)
        fill(writer)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    before = verify(directory)
    with Reader(directory) as reader:
        seen = len(list(reader.records()))
        with Writer(directory, book=BOOK, clerk=False) as writer:
            fill(writer)
        assert reader.grown()
        assert seen + len(list(reader.records())) == verify(directory).records
    after = verify(directory)
    assert after.entries >= before.entries + 6
    assert (after.books, after.torn) == (2, 0)


def test_where_a_book_cannot_be_closed_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_args: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    directory = str(tmp_path)
    monkeypatch.setattr(os, "link", unable)
    with Writer(directory, book=BOOK) as writer:
        for _ in range(30):
            fill(writer)
        assert not closed(directory)
        monkeypatch.undo()
        for _ in range(30):
            fill(writer)
    assert closed(directory)
    assert verify(directory).entries > 60 * 6


def test_an_older_file_of_one_book_is_the_first_of_several(ledger: str) -> None:
    before = [record.own for record in read(ledger)]
    with Writer(ledger, book=1, clerk=False) as writer:
        fill(writer)
    found = list(read(ledger))
    assert [record.own for record in found[:4]] == before
    assert (found[4].kind, found[5].book) == (CLOSED, "ledger.blj")


def swapped(directory: str, firsts: list[int]) -> None:
    one, two = (os.path.join(directory, name(first)) for first in firsts[1:3])
    os.rename(one, one + "~")
    os.rename(two, one)
    os.rename(one + "~", two)


def damages(directory: str) -> Iterator[tuple[str, str]]:
    """A copy of the ledger for each kind of damage, and what is said of it."""
    firsts = closed(directory)

    def copy(what: str) -> Path:
        path = Path(directory + "-" + what)
        shutil.copytree(directory, path)
        return path

    path = copy("middle")
    (path / name(firsts[2])).unlink()
    yield str(path), f"begins with entry {firsts[2]} is missing"
    path = copy("first")
    (path / name(firsts[0])).unlink()
    yield str(path), f"entries 1 to {firsts[1] - 1} are missing, and no record says"
    path = copy("swapped")
    swapped(str(path), firsts)
    yield str(path), "is not the book that begins with entry"
    path = copy("cut")
    os.truncate(path / name(firsts[1]), os.path.getsize(path / name(firsts[1])) - 10)
    yield str(path), "is missing: the book ends before it"
    path = copy("whole-cut")
    data = (path / name(firsts[1])).read_bytes()
    last = int.from_bytes(data[-4:], "little")
    (path / name(firsts[1])).write_bytes(data[:-last])
    yield str(path), "is missing: the book ends before it, and is not closed"
    path = copy("more")
    with open(path / name(firsts[1]), "ab") as file:
        file.write(data[-last:])
    yield str(path), "follows the one that closes the book"
    path = copy("open")
    shutil.copy(path / name(firsts[1]), path / "ledger.blj")
    yield str(path), "is missing, and was not pruned"


def test_what_is_done_to_whole_books_is_found(shelf: str) -> None:
    for path, said in damages(shelf):
        with pytest.raises(LedgerCorrupt, match=said):
            verify(path)


def test_a_flipped_bit_in_any_book_is_found_and_the_book_named(shelf: str) -> None:
    for first in closed(shelf):
        path = os.path.join(shelf, name(first))
        data = Path(path).read_bytes()
        for at in range(3, len(data), 97):
            Path(path).write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
            with pytest.raises(LedgerCorrupt) as caught:
                verify(shelf)
            assert name(first) in str(caught.value) or at < 140
        Path(path).write_bytes(data)
    assert verify(shelf).torn == 0


def test_a_ledger_whose_open_book_is_gone_is_not_begun_anew(shelf: str) -> None:
    os.unlink(shelf + "/ledger.blj")
    with pytest.raises(LedgerError, match="is not the ledger's last book"):
        Writer(shelf)
    with pytest.raises(LedgerError, match=r"begins with entry .* is missing"):
        verify(shelf)


def test_only_names_of_books_are_books() -> None:
    for bad in (
        "",
        "1.blj",
        "00000000001.blj",
        "0000000000012",
        "-00000000001.blj",
        "٣" * 12 + ".blj",
    ):
        assert first_of(bad) == 0
    assert first_of("1000000000000.blj") == 10**12
    assert first_of("9" * 19 + ".blj") == 0


@pytest.mark.parametrize("size", [100, 16 << 10, 1 << 20, 16 << 20])
def test_large_batches_are_deflated_and_come_back(tmp_path: Path, size: int) -> None:
    payload = (frame("open", "/usr/lib/python3.11/os.py", "r") * (size // 60 + 1))[:size]
    noise = os.urandom(size)
    with Writer(str(tmp_path), clerk=False) as writer:
        writer.append([(EVENTS, 1, payload), (EVENTS, 1, noise)], RUN)
        writer.append([(DECISIONS, 1, payload)], OTHER)
    found = list(read(str(tmp_path)))
    assert [record.payload for record in found] == [payload, noise, payload]
    small = found[0].stored < size // 5
    assert small == (size >= 16 << 10)
    assert [record.stored for record in found[1:]] == [size, size]


def test_what_inflates_to_too_much_is_given_as_it_is_stored() -> None:
    from zlib import compress

    from belljar.ledger.deflate import restored

    for bomb in (
        compress(bytes((16 << 20) + 1)),
        compress(b"x") + b"more",
        compress(b"x" * 99)[:-3],
    ):
        assert restored(1, bomb) == bomb
    assert restored(1, compress(bytes(16 << 20))) == bytes(16 << 20)


def test_going_back_ends_where_a_book_begins_whatever_its_numbers_say(tmp_path: Path) -> None:
    from belljar.ledger.format import encode, file_header, sha256

    head = file_header(bytes(32), 0)
    parts, _own = encode(bytes(32), head[-32:], sha256, (EVENTS, 0, RUN, 500, 3, 0), b"")
    (tmp_path / "ledger.blj").write_bytes(head + b"".join(parts))
    with Reader(str(tmp_path)) as reader:
        assert reader.skip_to_last(100) == 403
        with pytest.raises(LedgerCorrupt, match="begins with entry 500"):
            verify(str(tmp_path))
