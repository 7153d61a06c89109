"""What commands say of a ledger that was cut short, of whose key they trust, and in JSON."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.ledger import Writer, open_writer
from belljar.ledger.reader import read
from belljar.ledger.tree import keys
from belljar.ledger.tree.clerk import Clerk
from belljar.ledger.tree.notary import Notary

from .conftest import OTHER, fill


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def signed(ledger: str) -> str:
    notary = Notary(ledger)
    notary.round()
    notary.end_epoch()
    notary.close()
    return ledger


# -- a cut end: whoever writes next says so


def test_who_writes_into_a_ledger_that_was_cut_short_is_warned(
    signed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    resigned = Clerk(signed)
    assert resigned.start()
    resigned.once()
    open_writer(signed).close()
    assert capsys.readouterr().err == ""
    offsets = [record.offset for record in read(signed)]
    os.truncate(Path(signed, "ledger.blj"), offsets[3])
    open_writer(signed).close()
    said = capsys.readouterr().err
    assert "was cut short: 2 of its last entries were signed and are missing" in said
    # A run that goes on there hides nothing.
    with Writer(signed, clerk=False) as writer:
        fill(writer, OTHER)
    assert main(["verify", signed]) == 1
    assert "broken: record 4 is not the one that was signed" in capsys.readouterr().out


def test_the_warning_comes_also_where_only_the_end_of_the_last_record_was_cut_off(
    signed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clerk = Clerk(signed)
    assert clerk.start()
    clerk.once()
    *_, last = read(signed)
    assert last.count == 1
    os.truncate(Path(signed, "ledger.blj"), last.offset + 60)
    open_writer(signed).close()  # what it says of the torn end takes the number that is missing
    assert "1 of its last entries were signed" in capsys.readouterr().err
    open_writer(signed).close()
    assert capsys.readouterr().err == ""


def test_verify_says_when_the_clerk_had_signed_more(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "older"
    shutil.copytree(signed, older)
    with Writer(signed, clerk=False) as writer:
        fill(writer, OTHER)
    assert main(["checkpoint", signed]) == 0
    state = Path(signed, "clerk.state").read_bytes()
    shutil.rmtree(signed)
    shutil.copytree(older, signed)
    assert main(["verify", signed]) == 0, "nothing local proves it"
    assert "missed" not in capsys.readouterr().out
    Path(signed, "clerk.state").write_bytes(state)
    assert main(["verify", signed]) == 0
    assert (
        "missed: the clerk said that it had signed 10 records, and 5 are" in capsys.readouterr().out
    )


# -- what a command says of whose word it took


def test_a_proof_that_was_checked_with_the_ledgers_own_key_says_so(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["prove", "3", "--ledger", signed, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    proof = tmp_path / "proof"
    proof.write_text(made["proof"])
    assert made["entry"] == 3
    check = ["prove", "--check", str(proof)]

    def said(*more: str) -> tuple[str, str]:
        assert main([*check, *more]) == 0
        line = capsys.readouterr().out.splitlines()[1]
        assert main([*check, *more, "--json"]) == 0
        return line.partition(":")[0], json.loads(capsys.readouterr().out)["trust"]

    assert said("--ledger", signed, "--key", signed + "/keys/public") == ("key", "given")
    assert said("--ledger", signed) == ("key", "noted")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nobody"))
    assert said("--ledger", signed) == ("not confirmed", "own")
    assert main(check) == 1
    assert "no key to check with" in capsys.readouterr().err
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    keys_file = Path(signed, "keys/public")
    fixed = keys.new_fixed()
    keys_file.unlink()
    keys.publish(str(keys_file), fixed.public, keys.new_epoch(fixed.name, 0).public)
    assert main([*check, "--ledger", signed]) == 1
    assert "does not hold the key of the ledger that belongs here" in capsys.readouterr().out


def test_consistency_takes_no_arguments_that_do_nothing(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (["4", "2"], ["2", "x"], ["2"], ["2", "4", "--key", signed + "/keys/public"]):
        assert main(["consistency", *wrong, "--ledger", signed]) == 2
    assert main(["consistency", "2", "4", "--ledger", signed]) == 0
    capsys.readouterr()
    assert main(["consistency", "2", "4", "--ledger", signed, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    proof = tmp_path / "proof"
    proof.write_text(found["proof"])
    assert main(["consistency", "--check", str(proof)]) == 0
    assert "not checked: whether these roots were signed" in capsys.readouterr().out
    assert main(["consistency", "--check", str(proof), "1"]) == 1
    assert "the proof is of 2 records, not of 1" in capsys.readouterr().out
    assert main(["consistency", "--check", str(proof), "--key", signed + "/keys/public"]) == 2


@pytest.mark.parametrize("command", ["verify", "prove", "consistency", "checkpoint"])
def test_json_of_a_ledger_that_is_not_there_is_json(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = str(tmp_path / "nothing")
    where = {"prove": ["1", "--ledger", there], "consistency": ["1", "2", "--ledger", there]}
    assert main([command, *where.get(command, [there]), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == 1
    assert "nothing" in found["error"]
    assert not os.path.exists(there)


def test_a_pin_is_written_through_a_pipe_and_not_over_it(signed: str, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    os.mkfifo(pin)
    reader = os.open(pin, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert main(["verify", signed, "--write-pin", str(pin)]) == 0
        assert os.read(reader, 1 << 16) == Path(signed, "checkpoint").read_bytes()
    finally:
        os.close(reader)
    assert pin.is_fifo()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    assert main(["verify", signed, "--write-pin", str(link)]) == 1
    assert link.is_symlink()
    assert not (tmp_path / "file").exists()
