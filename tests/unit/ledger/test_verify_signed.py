"""`belljar log verify` of what is signed: pins, witnesses, keys, epochs, what was pruned."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import EVENTS, Writer
from belljar.ledger.proof import known
from belljar.ledger.proof.whole import examine
from belljar.ledger.prune import prune
from belljar.ledger.tree.notary import Notary

from .conftest import OTHER, fill


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def signed(ledger: str) -> str:
    """Two epochs that ended, one that goes on, and four records that are not signed."""
    notary = Notary(ledger)
    for _ in range(2):
        with Writer(ledger) as writer:
            fill(writer, os.urandom(16))
        notary.end_epoch()
    with Writer(ledger) as writer:
        fill(writer, os.urandom(16))
        notary.round()
        fill(writer, OTHER)
    notary.close()
    return ledger


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(["verify", *argv])
    out, err = capsys.readouterr()
    return status, out + err


def resign(ledger: str) -> None:
    notary = Notary(ledger)
    notary.round()
    notary.close()


def test_it_says_what_is_signed_what_is_not_and_what_it_cannot_know(
    signed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = run([signed], capsys)
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "whole: 22 records, 32 entries, 5 runs"
    assert lines[1].startswith("signed: 18 records, by belljar.ledger/")
    assert lines[1].endswith("s ago), 2 epochs ended; by the keys noted when it was made")
    assert lines[2:] == [
        "unsigned: 4 records",
        "not checked: an older copy, or its newest records cut off: --pin or --witness does",
    ]
    status, out = run([signed, "--json"], capsys)
    found = json.loads(out)
    assert (found["signed"], found["unsigned"], found["epochs"]) == (18, 4, 2)
    assert (found["trust"], found["pinned"], found["checkpoint"]["epoch"]) == ("noted", None, 2)


def test_a_pin_finds_an_older_copy_and_a_cut_end(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = str(tmp_path / "old")
    pin = str(tmp_path / "pin")
    shutil.copytree(signed, old)
    resign(signed)
    assert run([signed, "--write-pin", pin], capsys)[0] == 0
    status, out = run([signed, "--pin", pin], capsys)
    assert (status, "pinned: 22 records, as they were" in out) == (0, True)
    assert "not checked" not in out
    status, out = run([old, "--pin", pin, "--write-pin", pin + "2"], capsys)
    assert status == 1
    assert out == (
        "broken: checkpoint is older than the pin: it covers 18 records, the pin 22; "
        "the ledger was put back or cut short\n"
    )
    assert not os.path.exists(pin + "2"), "a ledger that is not right must not be pinned"
    # The same number of records, but not the newest word about them: an older copy, too.
    before = Path(signed, "checkpoint").read_bytes()
    resign(signed)
    assert run([signed, "--write-pin", pin], capsys)[0] == 0
    Path(signed, "checkpoint").write_bytes(before)
    assert "checkpoint is older than the pin" in run([signed, "--pin", pin], capsys)[1]


def test_a_cut_end_is_found_without_a_pin_where_a_checkpoint_covers_it(
    signed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    resign(signed)
    path = Path(signed, "ledger.blj")
    from belljar.ledger.reader import read

    last = [record.offset for record in read(signed)][-2]
    path.write_bytes(path.read_bytes()[:last])
    status, out = run([signed], capsys)
    assert (status, out) == (
        1,
        "broken: record 21 is missing: the ledger ends before it, and checkpoint covers 2 more\n",
    )


def test_unsigned_records_at_the_end_can_be_cut_off_unseen_as_the_docs_say(signed: str) -> None:
    path = Path(signed, "ledger.blj")
    from belljar.ledger.reader import read

    last = [record.offset for record in read(signed)][-1]
    path.write_bytes(path.read_bytes()[:last])
    assert examine(signed).unsigned == 3


def test_a_sink_that_was_given_more_finds_even_that(signed: str) -> None:
    from belljar.ledger.reader import read
    from belljar.ledger.sinks import store
    from belljar.ledger.sinks.config import parse

    sink = parse("jsonl:/dev/null")
    added = store.add(signed, sink, every_run=True, first=1)
    store.save(signed, sink.id, store.Position(33, turn=added.turn))
    assert examine(signed).unsigned == 4
    path = Path(signed, "ledger.blj")
    last = [record.offset for record in read(signed)][-1]
    path.write_bytes(path.read_bytes()[:last])
    said = (
        r"entry 32 is missing: the ledger ends before it, and sinks/.*\.at says that entry 32 was"
    )
    with pytest.raises(LedgerCorrupt, match=said):
        examine(signed)


def test_a_pin_of_another_ledger_and_one_that_is_none(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(tmp_path / "other")
    with Writer(other) as writer:
        fill(writer)
    resign(other)
    assert run([signed, "--pin", other + "/checkpoint"], capsys)[1].startswith(
        "broken: the pin does not verify: not signed by "
    )
    pin = tmp_path / "none"
    pin.write_text("hello")
    assert run([signed, "--pin", str(pin)], capsys)[1].startswith("broken: the pin does not verify")
    assert run([signed, "--pin", str(tmp_path)], capsys) == (
        1, f"belljar: cannot read the pin {tmp_path}: Is a directory\n",
    )  # fmt: skip


def test_a_pin_is_needed_to_miss_signatures_that_are_all_gone(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = tmp_path / "pin"
    pin.write_bytes(Path(signed, "checkpoint").read_bytes())
    for name in ("checkpoint", "epochs"):
        os.unlink(Path(signed, name))
    assert "checkpoint is missing" in run([signed], capsys)[1]
    for name in ("keys", "tile"):
        shutil.rmtree(Path(signed, name))
    assert (
        "keys/public is missing: the keys of the one that belongs here" in run([signed], capsys)[1]
    )
    os.unlink(known.path())
    assert "begins an epoch, but keys/public is missing" in run([signed], capsys)[1]
    assert "the pin is one of this ledger" in run([signed, "--pin", str(pin)], capsys)[1]


def test_a_witness_that_is_asked_for_has_to_be_there(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, vkey = str(tmp_path / "witness"), tmp_path / "vkey"
    assert main(["witness", "--state", state, "--new-key", "witness.example"]) == 0
    vkey.write_text(capsys.readouterr().out)
    status, out = run([signed, "--witness", str(vkey)], capsys)
    assert status == 1
    assert "is missing: nothing cosigned by witness.example" in out
    assert main(["witness", "--state", state, signed]) == 0
    capsys.readouterr()
    status, out = run([signed, "--witness", str(vkey)], capsys)
    assert status == 0
    assert "witnessed: 18 records, by witness.example at " in out
    (cosigned,) = Path(signed, "witness").iterdir()
    data = cosigned.read_bytes()
    cosigned.write_bytes(data[:-9] + (b"A" if data[-9:-8] != b"A" else b"B") + data[-8:])
    assert (
        "the signature of witness.example does not verify"
        in (run([signed, "--witness", str(vkey)], capsys)[1])
    )


def test_given_keys_come_before_those_noted_and_those_before_its_own(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    shutil.copy(Path(signed, "keys/public"), kept)
    other = str(tmp_path / "other")
    with Writer(other) as writer:
        fill(writer)
    resign(other)
    assert "by the keys that were given" in run([signed, "--key", str(kept)], capsys)[1]
    # Another ledger, whole and signed, in its place.
    shutil.rmtree(signed)
    os.rename(other, signed)
    status, out = run([signed], capsys)
    assert status == 1
    assert out.startswith("broken: keys/public does not hold the keys of the ledger that belongs ")
    assert "known-ledgers:1 has noted (if you replaced or removed" in out
    os.unlink(known.path())
    status, out = run([signed], capsys)
    assert (status, "which nothing outside confirms" in out) == (0, True)
    assert run([signed, "--key", str(kept)], capsys)[0] == 1


def test_a_ledger_that_was_moved_is_known_by_its_origin(signed: str, tmp_path: Path) -> None:
    os.rename(signed, tmp_path / "moved")
    assert examine(str(tmp_path / "moved")).trust == "noted"


def test_known_ledgers_survives_odd_directories_and_names_a_line_that_is_none(
    tmp_path: Path,
) -> None:
    odd = str(tmp_path / "a b%20\n\u202e\udcff")
    with Writer(odd) as writer:
        fill(writer)
    resign(odd)
    assert examine(odd).trust == "noted"
    lines = Path(known.path()).read_text()
    assert lines.count("\n") == 1
    Path(known.path()).write_text("# mine\n" + lines + "nonsense\n")
    with pytest.raises(LedgerError, match=r"known-ledgers:3: expected origin, two keys"):
        examine(odd)


def test_without_the_notes_of_epochs_or_with_them_in_disorder_it_does_not_verify(
    signed: str,
) -> None:
    path = Path(signed, "epochs")
    from belljar.ledger.tree.epochs import split

    one, two = split(path.read_bytes())
    for data, said in (
        (None, "epoch 2, and epochs has 0 notes"),
        (one, "epoch 2, and epochs has 1 notes"),
        (two + one, "note 1 of epochs is not where it belongs"),
        (one + one, "note 2 of epochs is not where it belongs"),
        (one + two[:-20], "note 2 of epochs"),
    ):
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(LedgerCorrupt, match=said):
            examine(signed)


def test_notes_of_many_epochs_that_are_gone_are_named_and_not_the_file_of_their_keys(
    ledger: str,
) -> None:
    notary = Notary(ledger)
    for _ in range(6):
        with Writer(ledger, clerk=False) as writer:
            fill(writer)
        notary.end_epoch()
    notary.close()
    os.unlink(Path(ledger, "epochs"))
    with pytest.raises(LedgerCorrupt, match="epochs has 0 notes"):
        examine(ledger)


def test_keys_of_more_epochs_than_there_are_do_not_verify(signed: str) -> None:
    with Path(signed, "keys/epochs").open("ab") as file:
        file.write(b"x" * 4096)
    with pytest.raises(LedgerCorrupt, match=r"keys/epochs is longer than"):
        examine(signed)


def test_pruned_books_still_prove_epochs_and_a_lie_about_them_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = str(tmp_path / "ledger")
    notary = Notary(ledger)
    os.mkdir(ledger, 0o700)
    for _ in range(4):
        for _ in range(5):
            with Writer(ledger, book=1500) as writer:
                fill(writer)
        notary.end_epoch()
    gone = prune(ledger, 1 << 62)
    assert len(gone) > 5
    found = examine(ledger)
    assert found.ended == 4
    assert found.report.pruned > 50
    assert found.report.records < 15
    status, out = run([ledger], capsys)
    assert (status, f"pruned: entries 1 to {found.report.pruned}; " in out) == (0, True)
    notary.round()
    assert examine(ledger).unsigned == 0
    lines = Path(ledger, "keys/epochs").read_text().splitlines(keepends=True)
    Path(ledger, "keys/epochs").write_text("".join([lines[1], *lines[1:]]))
    with pytest.raises(LedgerCorrupt, match="line 1 of keys/epochs is not that of record"):
        examine(ledger)
    Path(ledger, "keys/epochs").write_text("".join(lines))
    entries = Path(ledger, "tile/entries").rglob("*")
    for path in entries:
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[60] ^= 1
            path.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match=r"entry 1 of tile/entries/000.*is not its leaf"):
        examine(ledger)


def test_every_size_around_the_width_of_a_tile_verifies(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger")
    with Writer(ledger, sync="never") as writer:
        notary = Notary(ledger)
        size = 0
        for wanted in (1, 2, 254, 255, 256, 257, 511, 512, 513, 768):
            while size < wanted:
                writer.append([(EVENTS, 1, b"")], OTHER)
                size += 1
            notary.round()
            assert examine(ledger).signed == wanted
        # The record that ends the epoch is the last of a tile.
        while (size + 1) % 256:
            writer.append([(EVENTS, 1, b"")], OTHER)
            size += 1
        notary.end_epoch()
        found = examine(ledger)
        assert (found.signed, found.ended) == (1024, 1)


def test_it_verifies_beside_writers_and_a_clerk_that_ends_epochs(ledger: str) -> None:
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        notary = Notary(ledger)
        try:
            with Writer(ledger, book=20_000, sync="never") as writer:
                while not stop.is_set():
                    fill(writer)
                    notary.round()
                    notary.end_epoch()
                    time.sleep(0.01)  # it is 10 minutes, otherwise
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    thread.start()
    try:
        end = time.monotonic() + 20
        seen: set[int] = set()
        while len(seen) < 6 and time.monotonic() < end:
            seen.add(examine(ledger).ended)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(before)
    assert not failed
    assert len(seen) == 6, "nothing happened beside it"
