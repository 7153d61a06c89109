"""The clerk: it signs what is appended, alone, killed anywhere, and lets its starter go."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import Writer
from belljar.ledger.proof.whole import examine
from belljar.ledger.reader import Reader
from belljar.ledger.tree import clerk as clerks
from belljar.ledger.tree import keys
from belljar.ledger.tree.checkpoint import Checkpoint, parse
from belljar.ledger.tree.clerk import Clerk, state
from belljar.ledger.tree.notary import Notary
from belljar.ledger.tree.note import parse_note
from belljar.ledger.tree.summon import taken

from .conftest import OTHER, fill

KILLS = 2000 if os.environ.get("BELLJAR_LONG") else 20
CODE = (
    "import sys; from belljar.ledger import Writer; "
    "w = Writer(sys.argv[1]); w.append([(2, 1, b'x')], bytes(16)); print('there', flush=True); "
    "sys.stdin.readline(); w.close()"
)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers call a clerk; elsewhere there is but the test's own."""
    monkeypatch.delenv("BELLJAR_CLERK", raising=False)


def checkpoint(directory: str) -> Checkpoint:
    return parse(parse_note(Path(directory, "checkpoint").read_bytes()).text)


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def signed(directory: str, size: int) -> bool:
    try:
        return checkpoint(directory).size >= size
    except FileNotFoundError:
        return False


def starter(directory: str) -> subprocess.Popen[str]:
    """A process that writes, and calls the clerk."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


@pytest.mark.usefixtures("called")
def test_a_writer_calls_a_clerk_that_lets_go_of_it_and_ends_after_it(ledger: str) -> None:
    child = starter(ledger)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    try:
        until(lambda: signed(ledger, 5))
        pid = state(ledger)["pid"]
        assert os.getsid(pid) not in (pid, os.getsid(0)), "it could get a terminal"
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        open_files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not [
            name for name in open_files if name.startswith(("pipe:", "socket:", "/dev/pts"))
        ]
        assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
        assert clerks.HEARTBEAT + clerks.TICK <= 2, "no heartbeat every two seconds"
        first = checkpoint(ledger).time
        until(lambda: checkpoint(ledger).time != first)  # though nothing is written
    finally:
        child.stdin.close()
        child.wait()
    # Its output ends with it: the clerk holds no end of the pipe.
    assert child.stdout.read() == ""
    child.stdout.close()
    until(lambda: not taken(ledger), 30)
    assert state(ledger)["pid"] == 0
    report = examine(ledger)
    assert (report.unsigned, report.ended, report.trust) == (0, 1, "noted")


@pytest.mark.usefixtures("called")
def test_a_clerk_that_was_killed_is_replaced_by_the_next_writer(
    tmp_path: Path,
) -> None:
    ledger = str(tmp_path / "ledger")
    with Writer(ledger, clerk=False) as writer:
        fill(writer)
    children = []
    try:
        for number in range(2):
            children.append(starter(ledger))
            assert children[-1].stdout is not None
            children[-1].stdout.readline()
            until(lambda size=5 + number: signed(ledger, size))  # type: ignore[misc]
            pid = state(ledger)["pid"]
            if not number:
                os.kill(pid, signal.SIGKILL)
                until(lambda: not taken(ledger))
    finally:
        for child in children:
            child.communicate()
    until(lambda: not taken(ledger), 30)
    assert examine(ledger).unsigned == 0


def test_there_is_one_clerk(ledger: str) -> None:
    first = Clerk(ledger)
    assert first.start()
    assert taken(ledger)
    assert not Clerk(ledger).start(patience=0.05)
    first.once()
    assert not taken(ledger)


def test_a_clerk_whose_ledger_was_replaced_signs_nothing_in_the_new_one(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerks, "TICK", 0.01)
    clerk = Clerk(ledger)
    assert clerk.start()
    os.rename(ledger, ledger + ".old")
    with Writer(ledger) as writer:
        fill(writer)
    clerk.work()
    assert not Path(ledger, "checkpoint").exists()


def test_in_the_foreground_it_is_one_command(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoint", ledger]) == 0
    assert capsys.readouterr().out == f"signed: 5 records, 7 entries, in {ledger}\n"
    assert main(["checkpoint", "--json", ledger]) == 0
    assert json.loads(capsys.readouterr().out) == {"records": 5, "entries": 7, "epoch": 1}
    assert main(["checkpoint", ledger + "x"]) == 1
    assert "cannot read the ledger" in capsys.readouterr().err


def test_times_of_checkpoints_never_go_back_though_the_clock_does(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notary = Notary(ledger)
    notary.round()
    before = checkpoint(ledger).time
    monkeypatch.setattr("belljar.ledger.tree.notary.time.time_ns", lambda: 5)
    notary.round()
    assert checkpoint(ledger).time == (before or 0) + 1
    notary.end_epoch()
    assert examine(ledger).unsigned == 0


def test_an_epoch_that_signed_nothing_new_does_not_end(ledger: str) -> None:
    notary = Notary(ledger)
    assert notary.end_epoch()
    assert not notary.end_epoch()
    assert (notary.epoch, notary.size) == (1, 5)


def test_the_key_of_an_epoch_that_ended_is_nowhere(ledger: str) -> None:
    notary = Notary(ledger)
    notary.round()
    old = Path(ledger, keys.EPOCH).read_bytes()
    notary.end_epoch()
    seed = old.rstrip().split(b"+", 4)[4]  # PRIVATE+KEY+name+id+seed; base64 has + of its own
    assert len(seed) == 44
    for path in Path(ledger).rglob("*"):
        assert path.is_dir() or seed not in path.read_bytes(), path


OPERATIONS = ("replace", "rename", "link", "unlink", "fsync", "write", "pwrite", "mkdir", "open")


def work_until(directory: str, deadly: int) -> int:
    """A child that does a round and ends an epoch; it dies at its `deadly`th operation on files."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        count = 0

        def counting(real: Callable[..., object]) -> Callable[..., object]:
            def counted(*args: object, **options: object) -> object:
                nonlocal count
                count += 1
                if count == deadly:
                    os._exit(9)
                return real(*args, **options)

            return counted

        for name in OPERATIONS:
            setattr(os, name, counting(getattr(os, name)))
        notary = Notary(directory)
        notary.round()
        notary.end_epoch()
        os._exit(0)
    except BaseException:
        os._exit(1)


@pytest.mark.parametrize("fresh", [True, False])
def test_killed_at_any_operation_it_leaves_what_verifies_and_what_the_next_goes_on_from(
    ledger: str, fresh: bool
) -> None:
    if not fresh:
        Notary(ledger).end_epoch()
        with Writer(ledger) as writer:
            fill(writer, OTHER)
    deadly = 0
    step = 1 if os.environ.get("BELLJAR_LONG") else 7
    while True:
        deadly += step
        directory = f"{ledger}-{deadly}"
        shutil.copytree(ledger, directory)
        died = work_until(directory, deadly)
        assert died in (0, 9)
        roots = {}
        if Path(directory, "checkpoint").exists():
            left = checkpoint(directory)
            roots[left.size] = left.root
        try:
            examine(directory)
        except LedgerCorrupt as error:
            raise AssertionError(f"killed at operation {deadly}: {error}") from error
        notary = Notary(directory)
        notary.round()
        now = checkpoint(directory)
        assert roots.get(now.size, now.root) == now.root, "two roots for one size"
        notary.end_epoch()
        notary.close()
        assert examine(directory).unsigned == 0
        assert not Path(directory, keys.EPOCH + keys.NEXT).exists()
        shutil.rmtree(directory)
        if died == 0:
            break
    assert deadly > 28, "there was next to nothing to be killed at"


@pytest.mark.slow
@pytest.mark.timeout(3000 if os.environ.get("BELLJAR_LONG") else 120)
def test_killed_at_random_moments_beside_writers_it_never_signs_two_roots_for_one_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerks, "TICK", 0.005)
    monkeypatch.setattr(clerks, "HEARTBEAT", 0.01)
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    for first in range(0, KILLS, 50):
        ledger = str(tmp_path / str(first))
        kill_clerks(ledger, min(50, KILLS - first), chance)
        shutil.rmtree(ledger)


def kill_clerks(ledger: str, kills: int, chance: random.Random) -> None:
    roots: dict[int, bytes] = {}
    with Writer(ledger, book=20_000, sync="never") as writer:
        done = 0
        # On a busy machine many die before they signed anything: then it takes more of them.
        while done < kills or (len(roots) <= kills / 4 and done < 20 * kills):
            done += 1
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                clerk = Clerk(ledger, epoch=0.02)
                os._exit(0 if clerk.start() and clerk.work() is None else 1)
            end = time.monotonic() + chance.random() / 5
            while time.monotonic() < end:
                fill(writer)
                time.sleep(0.002)
            os.kill(child, signal.SIGKILL)
            assert os.waitpid(child, 0)[1] == signal.SIGKILL
            if Path(ledger, "checkpoint").exists():
                found = checkpoint(ledger)
                assert roots.setdefault(found.size, found.root) == found.root
                examine(ledger)
    notary = Notary(ledger)
    notary.round()
    with Reader(ledger) as reader:
        assert notary.size == reader.verify().records
    # Every root that was ever seen is one of this very tree.
    for size, root in roots.items():
        assert notary._tiles.root(size) == root
    notary.close()
    assert examine(ledger).ended >= 1
    assert len(roots) > kills / 4


def test_on_a_full_disk_it_says_so_and_goes_on_when_there_is_room(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerks, "TICK", 0.01)
    monkeypatch.setattr(clerks, "_RETRY", (0.05,))
    clerk = Clerk(ledger, linger=0.3)
    assert clerk.start()
    assert clerk._try(over=False)
    with Writer(ledger) as writer:
        fill(writer, OTHER)
    before = checkpoint(ledger)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        assert not clerk._try(over=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint(ledger) == before
    assert examine(ledger).unsigned == 4, "a disk that is full damages nothing"
    assert clerk._try(over=False)
    assert state(ledger)["error"] == ""
    clerk.work()
    assert examine(ledger).unsigned == 0


def test_what_keeps_it_from_signing_is_in_its_state_and_in_verify(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clerk = Clerk(ledger)
    assert clerk.start()
    assert clerk._try(over=False)
    with Writer(ledger) as writer:
        fill(writer, OTHER)
    clerk.notary.close()
    os.chmod(Path(ledger, keys.EPOCH), 0o644)
    assert not clerk._try(over=False)
    assert "others can read it" in state(ledger)["error"]
    os.chmod(Path(ledger, keys.EPOCH), 0o600)
    assert main(["verify", ledger]) == 0
    assert "clerk: cannot trust the key " in capsys.readouterr().out
    assert clerk._try(over=False)
    assert main(["verify", ledger]) == 0
    assert "clerk: " not in capsys.readouterr().out


def test_lost_tiles_are_made_anew_from_the_records(ledger: str) -> None:
    notary = Notary(ledger)
    notary.round()
    notary.close()
    root = checkpoint(ledger).root
    for path in Path(ledger, "tile").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(LedgerCorrupt, match="tile/"):
        examine(ledger)
    notary.round()
    assert checkpoint(ledger).root == root
    assert examine(ledger).unsigned == 0
    assert list(Path(ledger).glob("tile-kept-*/tile")), "what lay there was not kept"


def test_it_signs_no_records_but_those_it_signed_before(ledger: str) -> None:
    notary = Notary(ledger)
    notary.round()
    notary.close()
    other = ledger + "-other"
    with Writer(other) as writer:
        fill(writer)
        fill(writer)
    shutil.copy(Path(other, "ledger.blj"), Path(ledger, "ledger.blj"))
    for _ in range(2):
        with pytest.raises(LedgerError, match="is not the one that was signed"):
            notary.round()
    shutil.rmtree(Path(ledger, "tile"))
    with pytest.raises(LedgerError, match="are not those that were signed"):
        notary.round()
