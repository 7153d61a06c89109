"""Full and read-only disks under a collector and a clerk, and clocks that jump under all three.

The disks are small `tmpfs` of a mount namespace's own. What `writer` does there is in
`test_crashes.py`; limits instead of disks are tried in `test_collector.py` and `test_clerk.py`.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import COMMAND, cannot
from tests.unit.ledger.collecting import Raw, begin, machine, message, numbered, until
from tests.unit.ledger.conftest import RUN, fill, packed

from belljar.errors import LedgerError
from belljar.ledger import END, EVENTS, START, Writer
from belljar.ledger.collect.collector import Collector
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.collect.wire import ACK, NO
from belljar.ledger.proof.whole import examine
from belljar.ledger.reader import read, verify
from belljar.ledger.tree.checkpoint import Checkpoint, parse
from belljar.ledger.tree.clerk import Clerk, state
from belljar.ledger.tree.notary import Notary
from belljar.ledger.tree.note import parse_note

HOUR = 3600 * 10**9
MOUNT = "mount -t tmpfs -o size=2m none {0}"


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def checkpoint(directory: str) -> Checkpoint:
    return parse(parse_note(Path(directory, "checkpoint").read_bytes()).text)


def on_a_disk(tmp_path: Path, work: Callable[[str], None], mount: str = MOUNT) -> str:
    """What `work` prints in a process that sees `tmp_path / "disk"` mounted."""
    disk = tmp_path / "disk"
    disk.mkdir(exist_ok=True)
    code = f"from {work.__module__} import {work.__name__} as work; work({str(disk)!r})"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount.format(disk)} && exec "$0" -c "$1"',
         sys.executable, code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def collect(directory: str, path: str) -> int:
    """A collector in a child; it ends with 0 when told to."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    child = os.fork()
    if child == 0:
        status = 9
        try:
            signal.alarm(50)
            collector = Collector(listener, Writer(directory, clerk=False, book=300_000))
            signal.signal(signal.SIGTERM, lambda *_: collector.stop())
            collector.run()
            status = 0
        finally:
            os._exit(status)
    listener.close()
    return child


def fill_a_collector_s_disk(disk: str) -> None:
    Path(disk, "ballast").write_bytes(bytes(400_000))
    child = collect(disk + "/ledger", disk + "/s")
    kept, refused, size = [], 0, 90_000
    with RemoteWriter(disk + "/s", deadline=20) as writer:
        writer.append([(START, 1, packed({}))], RUN)
        index = 0
        while size > 40:
            index += 1
            data = numbered(index) + os.urandom(size)
            try:
                kept.append((writer.append([(EVENTS, 1, data)], RUN)[0], data))
            except LedgerError as error:
                if "No space left on device" not in str(error):
                    raise
                refused += 1
                size //= 2
        assert verify(disk + "/ledger").torn == 0
        os.unlink(disk + "/ballast")
        for index in range(3):
            data = b"again" + numbered(index)
            kept.append((writer.append([(EVENTS, 1, data)], RUN)[0], data))
        writer.append([(END, 1, packed({}))], RUN)
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == 0
    there = [(r.first, r.payload) for r in read(disk + "/ledger") if r.kind == EVENTS]
    assert there == kept, "what was acknowledged, and nothing else"
    report = verify(disk + "/ledger")
    assert (report.torn, report.unfinished) == (0, ())
    print("kept", len(kept), "refused", refused, "books", report.books)


def test_a_full_disk_costs_a_collector_s_senders_what_was_refused_and_nothing_else(
    tmp_path: Path,
) -> None:
    said = on_a_disk(tmp_path, fill_a_collector_s_disk).split()
    assert int(said[3]) > 5
    assert int(said[5]) > 1


def test_a_read_only_disk_is_refused_by_collector_and_clerk_in_one_line(tmp_path: Path) -> None:
    ledger = str(tmp_path / "disk" / "ledger")
    with Writer(ledger, clerk=False) as writer:
        fill(writer)
    before = sorted(os.listdir(ledger))
    disk = tmp_path / "disk"
    code = (
        "import os, sys; from belljar.cli.log import main; from belljar.ledger.tree.clerk import "
        f"main as clerk; ledger = {ledger!r}\n"
        "print(main(['verify', ledger]), main(['checkpoint', ledger]),"
        f" main(['collect', '--socket', {str(tmp_path / 's')!r}, ledger]), flush=True)\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit(clerk(ledger))\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    bind = f"mount --bind {disk} {disk} && mount -o remount,ro,bind {disk}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", bind + ' && exec "$0" -c "$1"', sys.executable, code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["0 1 1", "256"]  # the clerk ends without a word
    errors = done.stderr.splitlines()
    assert len(errors) == 2, done.stderr
    assert all("Read-only file system" in line for line in errors)
    assert sorted(os.listdir(ledger)) == before


def test_a_disk_that_becomes_read_only_under_a_collector_is_said_and_it_goes_on_later() -> None:
    """As a kernel does that finds a faulty disk: what is open stays open, and each write fails."""

    def before() -> None:
        write = os.write

        def refuse(fd: int, data: bytes) -> int:
            if os.path.exists(flag):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return write(fd, data)

        os.write = refuse  # type: ignore[assignment]

    flag = f"/tmp/belljar-read-only-{os.getpid()}"
    with machine(before=before) as here, Raw(here.path) as sender:
        run = os.urandom(16)
        assert sender.say(begin(1, run))[0] == ACK
        Path(flag).touch()
        try:
            kind, number, _values, why = sender.say(message(2, run, (EVENTS, 1, numbered(0))))
        finally:
            os.unlink(flag)
        assert (kind, number) == (NO, 2)
        assert "Read-only file system" in why
        assert sender.say(message(3, run, (EVENTS, 1, numbered(1))))[0] == ACK
        here.stop()
        assert [r.payload for r in read(here.directory) if r.kind == EVENTS] == [numbered(1)]
        assert verify(here.directory).torn == 0


def fill_a_clerk_s_disk(disk: str) -> None:
    os.environ["XDG_STATE_HOME"] = disk + "/state"
    ledger = disk + "/ledger"
    with Writer(ledger, clerk=False, sync="never") as writer:
        fill(writer)
        one = Clerk(ledger, linger=0.1)
        assert one.start()
        assert one._try(over=False)
        for _ in range(300):
            fill(writer)
        before = checkpoint(ledger)
        with open(disk + "/ballast", "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                while True:
                    try:
                        file.write(bytes(size))
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        break
        assert not one._try(over=False)
        assert not one._try(over=True)
        assert "No space left on device" in state(ledger)["error"]
        found = examine(ledger)
        assert found.checkpoint == before
        assert found.unsigned == found.report.records - before.size > 0
        os.unlink(disk + "/ballast")
        assert one._try(over=False)
        assert state(ledger)["error"] == ""
    one.work()
    assert examine(ledger).unsigned == 0
    print("signed", examine(ledger).signed)


def test_a_full_disk_keeps_a_clerk_from_signing_and_costs_nothing_that_was_signed(
    tmp_path: Path,
) -> None:
    assert on_a_disk(tmp_path, fill_a_clerk_s_disk) == "signed 1205\n"


def test_clocks_that_jump_by_hours_change_no_order_and_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of writers, while books are closed, and of the clerk, over the ends of epochs."""
    ledger = str(tmp_path / "ledger")
    start = time.time_ns()
    now = start
    monkeypatch.setattr(time, "time_ns", lambda: now)
    jumps = (0, 5, -10, 1, 40, -300, 2, -2, 0)
    times: list[int] = []
    notary = Notary(ledger)
    with Writer(ledger, clerk=False, book=1200) as writer:
        for turn, hours in enumerate(jumps):
            now = start + hours * HOUR
            writer.append([(START, 1, packed({})), (EVENTS, 1, b"%d" % turn)], RUN)
            writer.append([(END, 1, packed({}))], RUN)
            if turn % 3 == 2:
                notary.end_epoch()
            else:
                notary.round()
            times.append(checkpoint(ledger).time or 0)
            found = examine(ledger)
            assert (found.unsigned, found.report.torn) == (0, 0)
    notary.close()
    assert times == sorted(set(times)), "a checkpoint is never older than the one before it"
    assert times[-1] > start + 40 * HOUR, "and so it may be ahead of a clock that was put back"
    records = list(read(ledger))
    assert [r.first for r in records] == list(range(1, len(records) + 1))
    told = [r for r in records if r.kind == EVENTS]
    assert [r.payload for r in told] == [b"%d" % turn for turn in range(len(jumps))]
    assert [r.time for r in told] == [start + hours * HOUR for hours in jumps]
    assert examine(ledger).ended == 3
    assert examine(ledger).report.books > 2


def test_a_clock_that_jumps_costs_a_sender_neither_deadline_nor_share() -> None:
    """The collector's wall clock is put forward and back by a day with each look at it."""
    looks = iter(range(1 << 30))

    def wall() -> int:
        return 10**18 + (86_400 * 10**9 if next(looks) % 2 else 0)

    with machine(wall=wall) as here:
        run = os.urandom(16)
        with RemoteWriter(here.path, deadline=5) as writer:
            writer.append([(START, 1, packed({}))], run)
            for index in range(40):
                writer.append([(EVENTS, 1, numbered(index))], run)
            writer.append([(END, 1, packed({}))], run)
        until(lambda: verify(here.directory).runs == 1)
        here.stop()
        assert [r.first for r in read(here.directory)] == list(range(1, 44))


def lose_at(monkeypatch: pytest.MonkeyPatch, ledger: str, number: int) -> Callable[[], bool]:
    """Take `ledger` away before the operation `number` from now; whether that has come."""
    done = 0

    def wrap(name: str) -> None:
        original = getattr(os, name)

        def counted(*words: object, **more: object) -> object:
            nonlocal done
            done += 1
            if done == number:
                os.replace(ledger, ledger + "-gone")
            return original(*words, **more)

        monkeypatch.setattr(os, name, counted)

    for name in ("open", "mkdir", "rename", "fsync", "fdatasync", "write", "unlink", "stat"):
        wrap(name)
    return lambda: done >= number


@pytest.mark.parametrize("first", [True, False], ids=["its first round", "a later one"])
def test_a_ledger_that_is_deleted_under_a_clerk_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """Before each of the operations of a round that ends an epoch."""
    known = str(tmp_path / "state")
    for name in ("fsync", "fdatasync"):  # what the disk has is not the question here
        monkeypatch.setattr(os, name, lambda _fd: None)
    number, lost = 0, True
    while lost:
        number += 2 if first else 3
        ledger = str(tmp_path / str(number))
        with Writer(ledger, clerk=False, sync="never") as writer:
            fill(writer)
            one = Clerk(ledger, linger=0.0)
            assert one.start()
            if not first:
                assert one._try(over=True)
                fill(writer)
        with monkeypatch.context() as patched:
            gone = lose_at(patched, ledger, number)
            one._try(over=True)
            lost = gone()
        if lost:
            one.work()  # ends at once
            assert not os.path.lexists(ledger), f"made anew after operation {number}"
        one.notary.close()
        one._release()
    assert number > 20
    assert os.path.isdir(known)


def test_a_clerk_whose_ledger_is_deleted_ends_soon_and_says_nothing(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger")
    with Writer(ledger, clerk=False) as writer:
        fill(writer)
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from belljar.ledger.tree.clerk import Clerk; "
             "one = Clerk(sys.argv[1]); one.start(); print('x', flush=True); one.work()", ledger],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "x\n"
        until(lambda: os.path.exists(ledger + "/checkpoint"))
        os.replace(ledger, ledger + "-gone")
        # The writer is still there: without its ledger a clerk does not wait for that one's end.
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
        assert not os.path.lexists(ledger)
        with pytest.raises(LedgerError):  # and it is not the writer who makes it anew
            Writer(ledger, create=False)
        assert not os.path.lexists(ledger)


@pytest.mark.parametrize(("sync", "waits"), [("always", 3), ("batch", 1), ("never", 0)])
def test_the_policy_says_what_of_a_run_waits_for_the_disk(
    tmp_path: Path, clean_env: dict[str, str], sync: str, waits: int
) -> None:
    """As the kernel sees it: START, events and END of `always`, END of `batch`."""
    if shutil.which("strace") is None:
        cannot("strace is not installed")
    policy = tmp_path / "policy.toml"
    policy.write_text(f'schema = 1\n[record]\nledger = "{tmp_path}/ledger"\nsync = "{sync}"\n')
    (tmp_path / "job.py").write_text("print('hi')\n")
    calls = tmp_path / "calls"
    traced = ["strace", "-f", "-e", "trace=fdatasync", "-o", str(calls), *COMMAND]
    ran = subprocess.run(
        [*traced, "run", "--policy", str(policy), "job.py"],
        cwd=tmp_path, env=clean_env, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    count = calls.read_text().count("fdatasync(")
    assert count >= waits if waits > 1 else count == waits
