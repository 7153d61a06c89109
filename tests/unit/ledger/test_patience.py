"""Readers and a lock that somebody keeps: they wait for it, but not for ever."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import EVENTS, Writer, patience
from belljar.ledger.proof.whole import examine
from belljar.ledger.reader import Reader, verify
from belljar.ledger.tree.clerk import Clerk

from .conftest import OTHER, packed

KEEP = (
    "import fcntl, os, sys\n"
    "for path in sys.argv[1:]:\n"
    "    fcntl.flock(os.open(path, os.O_RDWR), fcntl.LOCK_EX)\n"
    "print('locked', flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST", 0.2)


@pytest.fixture
def books(ledger: str) -> str:
    """A ledger of several books, signed."""
    with Writer(ledger, clerk=False, book=300) as writer:
        for _ in range(5):
            writer.append([(EVENTS, 1, packed({"n": 1}) * 40)], OTHER)
    Clerk(ledger).once()
    return ledger


@contextlib.contextmanager
def kept(directory: str) -> Iterator[int]:
    """A process that keeps the locks of all books; its number."""
    every = [str(one) for one in (*Path(directory, "books").glob("*.blj"),
                                  Path(directory, "ledger.blj"))]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", KEEP, *every], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"locked\n"
        yield child.pid
        child.communicate()


def test_an_auditor_goes_on_without_a_lock_that_its_owner_keeps(books: str, short: None) -> None:
    before = examine(books)
    with kept(books) as number:
        found = examine(books)
    assert f"process {number} (" in found.locked
    assert found.replace(locked="", note=b"") == before.replace(note=b"")
    assert not examine(books).locked


def test_verify_tells_who_kept_the_lock(
    books: str, short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with kept(books) as number:
        assert main(["verify", books]) == 0
        told = [line for line in capsys.readouterr().out.split("\n") if line.startswith("locked")]
        assert len(told) == 1
        assert f"process {number} (" in told[0]
        assert main(["verify", "--json", books]) == 0
        assert f"process {number} (" in json.loads(capsys.readouterr().out)["locked"]


def test_what_is_broken_is_so_without_the_lock_too(books: str, short: None) -> None:
    path = Path(books, "ledger.blj")
    data = bytearray(path.read_bytes())
    data[-80] ^= 1
    path.write_bytes(data)
    with kept(books), pytest.raises(LedgerCorrupt, match="read without its lock: process"):
        examine(books)


def test_an_end_that_somebody_writes_is_torn_and_no_flaw(books: str, short: None) -> None:
    path = Path(books, "ledger.blj")
    with Writer(books, clerk=False) as writer:
        writer.append([(EVENTS, 1, packed({"n": 2}))], OTHER)
    path.write_bytes(path.read_bytes()[:-7])
    with kept(books):
        found = examine(books)
    assert found.report.torn
    assert found.locked


def test_who_sends_or_signs_refuses_instead(books: str, short: None) -> None:
    with kept(books) as number:
        for look in (verify, lambda where: Clerk(where).once()):
            with pytest.raises(LedgerError, match=rf"process {number} \(.* has kept its lock"):
                look(books)
        with pytest.raises(LedgerError, match="has kept its lock"), Reader(books):
            pass


def test_a_reader_waits_for_a_writer_that_takes_its_time(books: str) -> None:
    """Within the bound the reader waits: it does not read what is being written."""
    with Reader(books) as reader:
        before = [record.own for record in reader.records()]
    fd = os.open(os.path.join(books, "ledger.blj"), os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        asked = threading.Event()
        real = patience.fcntl.flock

        def flock(one: int, how: int) -> None:
            try:
                real(one, how)
            finally:
                asked.set()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(patience.fcntl, "flock", flock)
            release = threading.Thread(
                target=lambda: (asked.wait(60), real(fd, fcntl.LOCK_UN)), daemon=True
            )
            release.start()
            with Reader(books) as reader:
                assert [record.own for record in reader.records()] == before
            release.join(60)
    finally:
        os.close(fd)
    assert asked.is_set()
