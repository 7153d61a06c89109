"""Tampering at random is found, and where; without the check that finds it, it passes."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from belljar.ledger.proof.walk import Walk
from belljar.ledger.tree import custody, epochs
from belljar.ledger.tree.note import VerifierKey

TOOLS = Path(__file__).parents[3] / "tools"
COUNT = 100_000 if os.environ.get("BELLJAR_LONG") else 400


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


forge = load("tamper_forge")
tamper = load("tamper")


@pytest.fixture(scope="module", autouse=True)
def state_home() -> Any:
    """Benches choose where known ledgers are noted."""
    before = os.environ.get("XDG_STATE_HOME")
    yield
    os.environ.pop("XDG_STATE_HOME", None)
    if before is not None:
        os.environ["XDG_STATE_HOME"] = before


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tamper.Bench(str(tmp_path_factory.mktemp("bench")), 6)


def test_a_ledger_that_nobody_touched_is_whole(bench: Any) -> None:
    assert bench.judge() == ""
    assert bench.judge(pinned=True) == ""


@pytest.mark.timeout(3000 if os.environ.get("BELLJAR_LONG") else 120)
def test_every_tampering_is_found_and_located(bench: Any) -> None:
    kinds: Counter[str] = Counter()
    wrong = []
    for kind, said in tamper.tamper(bench, COUNT, 20261121):
        kinds[kind] += 1
        if said:
            wrong.append(said)
    assert not wrong
    assert set(kinds) == set(tamper.KINDS), "some kind was never tried"
    assert bench.judge() == "", "a mutation was not undone: the rest proved nothing"


def test_a_hash_of_an_upper_tile_is_checked_too(tmp_path: Path) -> None:
    tall = tamper.Bench(str(tmp_path), 20)
    assert tall.judge() == ""
    upper = [name for name in tall.files if name.startswith("tile/1/")]
    assert upper
    for name in upper:
        changes = {name: bytes((tall.files[name][0] ^ 1,)) + tall.files[name][1:]}
        tall.apply(changes)
        assert name in tall.judge()
        tall.undo(changes)


def test_without_the_comparison_of_tiles_a_changed_tile_passes(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(name for name in sorted(bench.needed) if name.startswith("tile/entries/"))
    changes = {name: b"\1" + bench.files[name][1:]}
    bench.apply(changes)
    try:
        assert name in bench.judge()
        monkeypatch.setattr(Walk, "_compare", lambda *_: None)
        assert bench.judge() == ""
    finally:
        bench.undo(changes)


def test_without_signatures_a_note_of_a_strange_key_passes(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = bench.files["checkpoint"]
    at = note.rindex(b" ") + 30
    changes = {
        "checkpoint": note[:at] + (b"A" if note[at : at + 1] != b"A" else b"B") + note[at + 1 :]
    }
    bench.apply(changes)
    try:
        assert bench.judge().startswith("checkpoint does not verify: the signature of ")
        monkeypatch.setattr(VerifierKey, "verifies", lambda *_: True)
        assert bench.judge() == ""
    finally:
        bench.undo(changes)


def rebuilt(bench: Any, what: int) -> tuple[dict[str, bytes | None], int]:
    """What the holder of today's keys can do best; and the record that was changed."""
    import random

    for seed in range(1000):
        chance = random.Random(seed)
        changes, low, _high = forge.rebuild(bench.files, bench.keys, chance)
        if ("epochs" in changes, "keys/epoch" in changes) == (
            (False, False),
            (True, False),
            (True, True),
        )[what]:
            return changes, low
    raise AssertionError


@pytest.mark.parametrize("what", [0, 1, 2])
def test_only_the_erased_keys_stop_who_holds_those_of_today(
    bench: Any, monkeypatch: pytest.MonkeyPatch, what: int
) -> None:
    changes, _record = rebuilt(bench, what)
    bench.apply(changes)
    try:
        assert "epochs" in bench.judge(witnessed=False)
        # The same forgery, were nothing kept of the epochs that ended.
        real = epochs.opened

        def fixed_only(note: bytes, keys: list[VerifierKey], where: str) -> Any:
            return real(note, keys[:1], where)

        monkeypatch.setattr(epochs, "opened", fixed_only)
        if what == 0:
            monkeypatch.setattr(Walk, "_disprove", lambda *_: None)
        assert bench.judge(witnessed=False) == ""
    finally:
        bench.undo(changes)


def test_without_what_was_noted_elsewhere_another_ledger_in_its_place_passes(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, bytes | None] = dict.fromkeys(bench.files)
    changes.update(bench.other)
    bench.apply(changes)
    try:
        assert bench.judge(witnessed=False).startswith("keys/public does not hold the keys of ")
        monkeypatch.setattr(custody.known, "find", lambda *_: None)
        assert bench.judge(witnessed=False) == ""
    finally:
        bench.apply(dict.fromkeys(bench.other))
        bench.undo(changes)


def test_without_a_pin_an_older_whole_copy_passes_and_with_one_it_does_not(bench: Any) -> None:
    past = bench.history[-2]
    changes: dict[str, bytes | None] = dict.fromkeys(bench.files)
    changes.update(past)
    bench.apply(changes)
    try:
        assert bench.judge(witnessed=False) == "", "if this is found now, say so in the docs"
        assert "checkpoint is older than the pin" in bench.judge(pinned=True, witnessed=False)
        assert "nothing cosigned by witness.example" in bench.judge()
    finally:
        bench.undo(changes)


def test_what_is_no_evidence_may_be_lost(bench: Any) -> None:
    stale = [n for n in bench.files if n.startswith("tile/") and n not in bench.needed]
    assert stale
    changes: dict[str, bytes | None] = dict.fromkeys(stale)
    bench.apply(changes)
    try:
        assert bench.judge() == ""
    finally:
        bench.undo(changes)
