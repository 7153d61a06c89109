"""`belljar log prove` and `consistency`: proofs that hold without the ledger, and nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import Writer
from belljar.ledger.proof.prove import check, check_consistency, prove, prove_consistency
from belljar.ledger.reader import read
from belljar.ledger.tree.keys import published
from belljar.ledger.tree.notary import Notary

from .conftest import fill


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def signed(ledger: str) -> str:
    with Writer(ledger, sync="never") as writer:
        for _ in range(70):
            fill(writer)
    notary = Notary(ledger)
    notary.round()
    notary.close()
    return ledger


def test_every_entry_is_proved_with_the_record_that_holds_it(signed: str) -> None:
    keys = published(signed + "/keys/public")[:1]
    for record in read(signed):
        for entry in range(record.first, record.first + record.count):
            found = check(prove(signed, entry).encode(), keys)
            assert (found.index, found.first, found.count) == (
                record.index, record.first, record.count,
            )  # fmt: skip
            assert (found.own, found.time) == (record.own, record.time)
    for missing in (0, -1, 6 * 71 + 1):
        with pytest.raises(LedgerError, match="no signed record"):
            prove(signed, missing)


def test_a_proof_that_was_changed_anywhere_proves_nothing(signed: str) -> None:
    keys = published(signed + "/keys/public")
    proof = prove(signed, 100).encode()
    assert check(proof, keys).first <= 100
    chance = random.Random(5)
    for _ in range(1500):
        data = bytearray(proof)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with pytest.raises(LedgerCorrupt, match="the proof does not verify"):
            check(bytes(data), keys)
    for size in range(0, len(proof), 7):
        with pytest.raises(LedgerCorrupt, match="the proof does not verify"):
            check(proof[:size], keys)


def test_it_needs_the_key_of_this_very_ledger(signed: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    with Writer(other) as writer:
        fill(writer)
    Notary(other).round()
    with pytest.raises(LedgerCorrupt, match="not signed by"):
        check(prove(signed, 3).encode(), published(other + "/keys/public")[:1])


def test_the_command_proves_and_checks_without_the_ledger(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prove", "#12", "--ledger", signed]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "c2sp.org/tlog-proof@v1"
    proof, key = tmp_path / "proof", tmp_path / "key"
    proof.write_text(text)
    key.write_text(Path(signed, "keys/public").read_text().splitlines()[0] + "\n")
    Path(signed).rename(tmp_path / "away")
    argv = ["prove", "--check", str(proof), "--key", str(key)]
    assert main([*argv, "12"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("proved: record 8, entries 12 to 12, of 2001-09-09T01:46:40.000Z, with ")
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["proved"], found["first"], found["size"]) == (True, 12, 284)
    assert main([*argv, "13"]) == 1
    assert capsys.readouterr().out == "broken: it proves entries 12 to 12, not 13\n"
    proof.write_text(text.replace("index 7", "index 8"))
    assert main(argv) == 1
    assert capsys.readouterr().out.startswith("broken: the proof does not verify: its hashes")
    assert main(["prove"]) == 2
    assert main(["prove", "--check", str(tmp_path), "--key", str(key)]) == 1
    assert "Is a directory" in capsys.readouterr().err


def test_trees_of_all_sizes_are_consistent_and_a_changed_proof_is_not(signed: str) -> None:
    chance = random.Random(6)
    for _ in range(60):
        old = chance.randrange(285)
        new = chance.randrange(old, 285)
        text = prove_consistency(signed, old, new)
        (one, _root), (two, _other) = check_consistency(text.encode())
        assert (one, two) == (old, new)
        lines = text.splitlines()
        if len(lines) > 3:
            del lines[chance.randrange(3, len(lines))]
            with pytest.raises(LedgerCorrupt):
                check_consistency(("\n".join(lines) + "\n").encode())
    with pytest.raises(LedgerError, match="284 records are signed: no proof from 3 to 285"):
        prove_consistency(signed, 3, 285)


def test_checkpoints_that_somebody_kept_are_compared(
    signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, proof = tmp_path / "kept", tmp_path / "proof"
    kept.write_bytes(Path(signed, "checkpoint").read_bytes())
    with Writer(signed) as writer:
        fill(writer)
    Notary(signed).round()
    new = signed + "/checkpoint"
    assert main(["consistency", str(kept), new, "--ledger", signed]) == 0
    proof.write_text(capsys.readouterr().out)
    key = ["--key", signed + "/keys/public"]
    assert main(["consistency", str(kept), new, "--check", str(proof), *key]) == 0
    assert capsys.readouterr().out == (
        "consistent: the tree of 284 records is how that of 288 begins\n"
        "key: the one that was given\n"
    )
    assert main(["consistency", "5", "9", "--ledger", signed]) == 0
    proof.write_text(capsys.readouterr().out)
    assert main(["consistency", str(kept), new, "--check", str(proof), *key]) == 1
    assert "is not of this tree" in capsys.readouterr().out
    assert main(["consistency", "5"]) == 2
