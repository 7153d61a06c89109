"""A writer whose ledger is a collector's: the interface of `Writer`, and the ways it can fail."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.unit.ledger.collecting import machine, numbered
from tests.unit.ledger.conftest import fill, packed

from belljar.cli.log import main as log
from belljar.errors import LedgerError, PolicyError
from belljar.ledger import END, EVENTS, START, Writer, open_writer, resolve
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.collect.wire import HEAD, ack, hello
from belljar.ledger.reader import Reader, read, verify
from belljar.watch.record import Record

RUN = bytes(range(16))


def test_a_ledger_s_name_selects_the_writer(tmp_path: Path) -> None:
    with machine() as here:
        place = resolve("unix:" + here.path)
        assert place == "unix:" + here.path
        with open_writer(place) as writer:
            assert isinstance(writer, RemoteWriter)
            assert writer.directory == place
            assert fill(writer) == [2, 3, 5, 7]  # behind the record of who it is
        here.stop()
        assert verify(here.directory).unfinished == ()
    with open_writer(str(tmp_path / "l")) as local:
        assert isinstance(local, Writer)


def test_a_watched_run_is_recorded_by_the_collector() -> None:
    with machine() as here:
        with Record("unix:" + here.path) as record:
            record.start(["python", "job.py"])
            assert record.kept
        here.stop()
        assert [r.name for r in read(here.directory)] == ["sender", "start", "sender"]


def test_a_policy_names_a_collector() -> None:
    from belljar.policy import load

    text = 'schema = 1\n[record]\nledger = "{}"\n'
    folder = Path(os.path.realpath("/tmp"))
    for name, good in (("unix:/run/belljar/collect.sock", True), ("unix:collect.sock", False)):
        path = folder / f"belljar-policy-{os.getpid()}.toml"
        path.write_text(text.format(name))
        try:
            if good:
                assert load(str(path)).ledger == name
            else:
                with pytest.raises(PolicyError, match="absolute"):
                    load(str(path))
        finally:
            path.unlink()


def test_commands_that_read_say_that_the_record_is_the_collector_s(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "unix:/run/belljar/collect.sock"
    for words in (["tail", name], ["verify", name], ["tail", "-f", name]):
        assert log(words) == 1
        assert "the record is the collector's" in capsys.readouterr().err
    with pytest.raises(LedgerError, match="the record is the collector's"):
        Reader(name)


def test_without_a_collector_nothing_runs_unrecorded(tmp_path: Path) -> None:
    for path in (str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(LedgerError, match="no collector takes records at"):
            RemoteWriter(path)


def test_a_collector_that_is_gone_is_an_error_for_this_append_and_all_after_it() -> None:
    with machine() as here, RemoteWriter(here.path) as writer:
        writer.append([(START, 1, packed({}))], RUN)
        here.kill(here.pid)
        with pytest.raises(LedgerError, match="did not acknowledge: it is gone"):
            writer.append([(EVENTS, 1, numbered(0))], RUN)
        here.start()
        with pytest.raises(LedgerError, match="it is gone"):
            writer.append([(EVENTS, 1, numbered(1))], RUN)


@pytest.mark.parametrize("size", [0, 8 << 20])
def test_a_collector_that_hangs_costs_the_deadline_and_no_more(size: int) -> None:
    items = [(START, 1, packed({})), (EVENTS, 1, numbered(0) + os.urandom(size))]
    took = []
    while not took or (min(took) >= 3 and len(took) < 10):  # a busy machine only adds to it
        with machine() as here, RemoteWriter(here.path, deadline=0.3) as writer:
            os.kill(here.pid, signal.SIGSTOP)
            before = time.monotonic()
            with pytest.raises(LedgerError, match=r"for 0\.3 seconds"):
                writer.append(items, RUN)
            with pytest.raises(LedgerError, match=r"for 0\.3 seconds"):
                RemoteWriter(here.path, deadline=0.3)
            took.append(time.monotonic() - before)
            os.kill(here.pid, signal.SIGCONT)
    assert 0.5 < min(took) < 3


def test_what_no_sender_may_append_is_a_value_error_and_the_connection_lives() -> None:
    with machine() as here, RemoteWriter(here.path) as writer:
        writer.append([(START, 1, packed({}))], RUN)
        for items in ([(9, 1, b"x")], [(EVENTS, 2, bytes(40))], [(EVENTS, 0, b"")], [(77, 1, b"")]):
            with pytest.raises(ValueError):
                writer.append(items, RUN)
        with pytest.raises(ValueError):
            writer.append([(EVENTS, 1, numbered(0))], b"short")
        with pytest.raises(LedgerError, match="too long"):
            writer.append([(EVENTS, 1, bytes((16 << 20) + 1))], RUN)
        assert writer.append([(EVENTS, 1, numbered(0))], RUN) == [3]
        writer.close()
        writer.close()
        with pytest.raises(LedgerError, match="it is closed"):
            writer.append([(EVENTS, 1, numbered(0))], RUN)


def test_the_longest_payload_arrives_as_it_was() -> None:
    with machine() as here, RemoteWriter(here.path) as writer:
        noise = os.urandom(16 << 20)
        plain = numbered(1, 60_000) * 200
        writer.append([(START, 1, packed({}))], RUN)
        writer.append([(EVENTS, 1, noise)], RUN)
        writer.append([(EVENTS, 200, plain)], RUN)
        writer.append([(END, 1, packed({}))], RUN)
        writer.close()
        here.stop()
        found = [(r.count, r.payload) for r in read(here.directory) if r.kind == EVENTS]
        assert found == [(1, noise), (200, plain)]


def test_threads_share_a_writer() -> None:
    with machine() as here, RemoteWriter(here.path) as writer:
        writer.append([(START, 1, packed({}))], RUN)
        numbers: list[int] = []

        def work() -> None:
            for index in range(50):
                numbers.extend(writer.append([(EVENTS, 1, numbered(index))], RUN))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(3, 403))


def test_a_child_after_fork_is_a_sender_of_its_own() -> None:
    with machine() as here, RemoteWriter(here.path) as writer:
        writer.append([(START, 1, packed({}))], RUN)

        def work() -> None:
            with pytest.raises(LedgerError, match="not one that this connection has open"):
                writer.append([(EVENTS, 1, numbered(0))], RUN)
            with RemoteWriter(here.path) as again:
                again.append([(START, 1, packed({}))], os.urandom(16))

        child = here.fork(work)
        assert here.wait(child) == 0
        assert writer.append([(EVENTS, 1, numbered(1))], RUN)[0] > 4
        here.stop()
        assert {s["pid"] for s in here.senders()} == {os.getpid(), child}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not what a collector says"),
        (ack(1, [5, 6]), "acknowledged something else"),
        (ack(2, [5]), "acknowledged something else"),
        (HEAD.pack(b"BJc\n", 1, 130, 1, 1 << 30, 1), "impossible length"),
        (b"", "it is gone"),
    ],
)
def test_an_answer_that_is_none_is_no_acknowledgement(
    tmp_path: Path, answer: bytes, why: str
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def pretend() -> None:
            other, _ = listener.accept()
            with other:
                other.sendall(hello(1))
                other.recv(1 << 16)
                other.sendall(answer)

        thread = threading.Thread(target=pretend)
        thread.start()
        with (
            RemoteWriter(str(tmp_path / "s"), deadline=5) as writer,
            pytest.raises(LedgerError, match=why),
        ):
            writer.append([(START, 1, packed({}))], RUN)
        thread.join()
