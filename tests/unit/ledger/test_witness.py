"""The witness: what it cosigns, what it refuses, and that it never forgets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.errors import LedgerError
from belljar.ledger.tree.checkpoint import parse
from belljar.ledger.tree.keys import load
from belljar.ledger.tree.merkle import EMPTY
from belljar.ledger.tree.note import (
    COSIGNATURE,
    SigningKey,
    cosigned_at,
    open_note,
    parse_vkey,
    sign,
)
from belljar.ledger.tree.tilefiles import TileReader
from belljar.ledger.witness import cosign
from belljar.ledger.witness.cosign import Refused, Witness
from belljar.ledger.witness.protocol import watch

from .logs import Log


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path / "ledger")
    made.grow(b"one", b"two", b"three")
    return made


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(str(tmp_path / "state"), SigningKey.new("witness.example/w1", COSIGNATURE))


def why(witness: Witness, log: Log) -> str:
    with pytest.raises(Refused) as caught:
        watch(witness, log.path)
    assert "\n" not in str(caught.value)
    return caught.value.why


def test_what_is_cosigned_verifies_by_both_keys_and_says_the_time(
    witness: Witness, log: Log
) -> None:
    before = int(time.time())
    note, trusted = watch(witness, log.path)
    assert trusted == [log.key.public]
    keys = [log.key.public, witness.key.public]
    found = open_note(note.render(), keys, every=True)
    assert parse(found.text).size == 3
    assert before <= cosigned_at(found.signatures[1]) <= time.time()
    assert watch(witness, log.path)[1] == []


def test_a_growing_log_is_cosigned_every_time(witness: Witness, log: Log) -> None:
    for count in (1, 1, 5, 250, 300, 0, 700):
        log.grow(*(b"%d" % i for i in range(count)))
        note, _new = watch(witness, log.path)
    last = witness.last(log.origin)
    assert last is not None
    assert last == parse(note.text)
    assert last.size == 3 + 1257


def test_a_fork_is_refused_and_kept_as_evidence(witness: Witness, log: Log, tmp_path: Path) -> None:
    watch(witness, log.path)
    log.become(log.forge(tmp_path / "other", b"one", b"TWO", b"three"))
    assert why(witness, log) == cosign.FORK
    folder = next(p for p in (tmp_path / "state").glob("*/conflict-3-*"))
    kept = open_note(folder.read_bytes(), [log.key.public])
    seen = witness.last(log.origin)
    assert seen is not None
    assert parse(kept.text).root != seen.root


def test_a_rollback_is_refused(witness: Witness, log: Log, tmp_path: Path) -> None:
    shutil.copytree(log.directory, tmp_path / "copy")
    log.grow(b"four")
    watch(witness, log.path)
    shutil.rmtree(log.directory)
    shutil.copytree(tmp_path / "copy", log.directory)
    assert why(witness, log) == cosign.ROLLBACK


def test_a_larger_tree_that_began_otherwise_is_refused(
    witness: Witness, log: Log, tmp_path: Path
) -> None:
    watch(witness, log.path)
    log.become(log.forge(tmp_path / "other", b"one", b"TWO", b"three", b"four"))
    assert why(witness, log) == cosign.INCONSISTENT
    assert list((tmp_path / "state").glob("*/conflict-4-*"))


def test_a_ledger_in_the_place_of_another_is_refused(
    witness: Witness, log: Log, tmp_path: Path
) -> None:
    watch(witness, log.path)
    other = Log(tmp_path / "other")
    other.grow(b"one", b"two", b"three")
    log.become(other)
    assert why(witness, log) == cosign.REPLACED


def test_a_checkpoint_signed_with_another_key_is_refused(witness: Witness, log: Log) -> None:
    watch(witness, log.path)
    text = (log.directory / "checkpoint").read_text().partition("\n\n")[0] + "\n"
    thief = SigningKey.new(log.origin)
    (log.directory / "checkpoint").write_bytes(sign(text, [thief]))
    (log.directory / "keys/public").write_text(f"{thief.public.vkey()}\n")
    assert why(witness, log) == cosign.UNSIGNED


def test_on_first_sight_the_tiles_must_make_the_root(witness: Witness, log: Log) -> None:
    text = parse((log.directory / "checkpoint").read_text().partition("\n\n")[0] + "\n")
    lie = text.replace(root=bytes(32))
    (log.directory / "checkpoint").write_bytes(sign(lie.render(), [log.key]))
    assert why(witness, log) == cosign.INCONSISTENT
    log.sign(3)
    watch(witness, log.path)


def test_after_every_refusal_the_honest_log_is_still_cosigned(
    witness: Witness, log: Log, tmp_path: Path
) -> None:
    watch(witness, log.path)
    shutil.copytree(log.directory, tmp_path / "honest")
    log.become(log.forge(tmp_path / "other", b"x", b"y", b"z", b"w"))
    assert why(witness, log) == cosign.INCONSISTENT
    shutil.rmtree(log.directory)
    shutil.copytree(tmp_path / "honest", log.directory)
    log.grow(b"four")
    assert parse(watch(witness, log.path)[0].text).size == 4


def test_evidence_does_not_pile_up(witness: Witness, log: Log, tmp_path: Path) -> None:
    watch(witness, log.path)
    for i in range(30):
        log.become(log.forge(tmp_path / f"other{i}", b"one", b"%d" % i, b"three"))
        assert why(witness, log) == cosign.FORK
    assert len(list((tmp_path / "state").glob("*/conflict-*"))) == 16


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_witness_with_a_damaged_state_cosigns_nothing(
    witness: Witness, log: Log, tmp_path: Path, damage: bytes | None
) -> None:
    watch(witness, log.path)
    state = next((tmp_path / "state").glob("*/checkpoint"))
    if damage is None:  # a bit of its own note
        data = bytearray(state.read_bytes())
        data[30] ^= 1
        state.write_bytes(data)
    else:
        state.write_bytes(damage)
    log.grow(b"four")
    with pytest.raises(LedgerError, match="retired"):
        watch(witness, log.path)


def test_a_new_key_of_the_witness_goes_on_from_the_same_state(
    witness: Witness, log: Log, tmp_path: Path
) -> None:
    watch(witness, log.path)
    new = Witness(witness.directory, SigningKey.new("witness.example/w2", COSIGNATURE))
    log.become(log.forge(tmp_path / "other", b"one", b"TWO", b"three"))
    assert why(new, log) == cosign.FORK


def test_an_empty_log_has_the_root_of_the_empty_tree_or_is_refused(
    witness: Witness, tmp_path: Path
) -> None:
    log = Log(tmp_path / "ledger")
    log.grow()
    assert parse(watch(witness, log.path)[0].text).root == EMPTY
    lie = parse((log.directory / "checkpoint").read_text().partition("\n\n")[0] + "\n")
    forged = sign(lie.replace(root=bytes(32)).render(), [log.key])
    with pytest.raises(Refused):
        witness.cosign(forged, lambda _old, _new: [])


def test_a_witness_killed_at_any_moment_remembers_what_it_said(tmp_path: Path, log: Log) -> None:
    """Whatever it printed is not larger than what its state holds afterwards."""
    state = str(tmp_path / "state")
    assert main(["witness", "--state", state, "--new-key", "w.example"]) == 0
    code = (
        "import sys\n"
        "from belljar.ledger.witness.cosign import Witness\n"
        "from belljar.ledger.tree.keys import load\n"
        "from belljar.ledger.witness.protocol import watch\n"
        "from belljar.ledger.tree.checkpoint import parse\n"
        "w = Witness(sys.argv[1], load(sys.argv[1] + '/key'))\n"
        "while True: print(parse(watch(w, sys.argv[2])[0].text).size, flush=True)\n"
    )
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", code, state, log.path], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        told = int(child.stdout.readline())
        for _ in range(20):
            log.grow(b"more")
        child.kill()
        told = max([told, *map(int, child.stdout.read().split("\n")[:-1])])
        child.stdout.close()
        child.wait()
        last = Witness(state, load(state + "/key")).last(log.origin)
        assert last is not None
        assert last.size >= told
        assert not list(Path(state).rglob("vkeys*.tmp"))


def test_the_command_makes_a_key_cosigns_and_refuses(
    tmp_path: Path, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state")
    assert main(["witness", "--state", state, "--new-key", "w.example"]) == 0
    key = parse_vkey(capsys.readouterr().out)
    assert os.stat(state + "/key").st_mode & 0o777 == 0o600
    assert main(["witness", "--state", state, log.path]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"trusted: {log.key.public.vkey()}",
        f"cosigned: {log.origin} at 3 leaves, in {log.path}/witness/{key.id.hex()}",
    ]
    assert not err
    note = (log.directory / "witness" / key.id.hex()).read_bytes()
    open_note(note, [log.key.public, key], every=True)
    assert main(["witness", "--state", state, "--stdout", log.path]) == 0
    open_note(capsys.readouterr().out.encode(), [key])
    log.become(log.forge(tmp_path / "other", b"one", b"TWO", b"three"))
    good = Log(tmp_path / "good")
    good.grow(b"x")
    assert main(["witness", "--state", state, log.path, good.path]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert f"{log.path}: fork: {log.origin} at 3 leaves" in err
    assert f"cosigned: {good.origin} at 1 leaves" in out


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--submit", "http://127.0.0.1:1"],
        ["--submit", "http://127.0.0.1:1", "--vkey", "nonsense+1"],
        ["--state", "S", "--new-key", "a b"],
        ["--state", "S", "--new-key", "a+b"],
        ["--unknown"],
    ],
)
def test_a_command_line_that_cannot_be_understood_is_2(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(tmp_path / "state") if word == "S" else word for word in argv]
    assert main(["witness", *argv]) == 2
    assert not (tmp_path / "state").exists()
    assert capsys.readouterr().err


def test_a_witness_without_a_key_or_with_one_that_others_read_does_nothing(
    tmp_path: Path, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    assert main(["witness", "--state", str(state), log.path]) == 1
    assert "--new-key" in capsys.readouterr().err
    assert main(["witness", "--state", str(state), "--new-key", "w"]) == 0
    (state / "key").chmod(0o644)
    assert main(["witness", "--state", str(state), log.path]) == 1
    assert "others can read it" in capsys.readouterr().err
    assert main(["witness", "--state", str(state), "--new-key", "w"]) == 1  # never replaced
    assert main(["witness", "--state", str(state), "--key", str(tmp_path / "no"), log.path]) == 1


def test_what_a_hostile_checkpoint_says_reaches_the_terminal_escaped(
    tmp_path: Path, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state")
    main(["witness", "--state", state, "--new-key", "w"])
    capsys.readouterr()
    note = (log.directory / "checkpoint").read_text()
    (log.directory / "checkpoint").write_text(note.replace(log.origin, "\u202eevil\x7f\x9b31m"))
    assert main(["witness", "--state", state, log.path]) == 1
    out, err = capsys.readouterr()
    assert (out + err).isascii()
    assert "\\u202e" in err


def test_comparing_and_keeping_are_one_step_for_all_who_share_a_state(
    witness: Witness, log: Log
) -> None:
    """The race of C2SP tlog-witness: a second request arrives while the first is being checked."""
    watch(witness, log.path)
    four = log.grow(b"four")
    five = log.grow(b"five")
    tiles = TileReader(log.path)
    second = threading.Thread(target=witness.cosign, args=(five, tiles.consistency))

    def slow(old: int, new: int) -> list[bytes]:
        second.start()
        second.join(0.3)
        assert second.is_alive(), "it did not wait for the first"
        return tiles.consistency(old, new)

    witness.cosign(four, slow, 3)
    second.join()
    last = witness.last(log.origin)
    assert last is not None
    assert last.size == 5


@pytest.mark.parametrize("name", ["checkpoint", "keys/public", "tile/0/000.p/3"])
def test_a_pipe_or_a_link_in_a_ledger_holds_up_no_witness(
    witness: Witness, log: Log, name: str
) -> None:
    file = log.directory / name
    file.rename(log.directory / "aside")
    os.mkfifo(file)
    with pytest.raises(LedgerError):
        watch(witness, log.path)
    file.unlink()
    file.symlink_to(log.directory / "aside")
    with pytest.raises(LedgerError, match=r"cannot read|is a link"):
        watch(witness, log.path)
