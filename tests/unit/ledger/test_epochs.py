"""The files of epochs: notes one after the other, keys that were named, and damage to both."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.errors import LedgerCorrupt
from belljar.ledger.tree import epochs, keys
from belljar.ledger.tree.checkpoint import ours
from belljar.ledger.tree.note import NoteMalformed, SigningKey, sign

FIXED = keys.new_fixed()
KEY = keys.new_epoch(FIXED.name, 0)


def note(size: int, time: int = 1) -> bytes:
    return sign(ours(FIXED.name, size, bytes(32), 0, time).render(), [FIXED, KEY])


@given(st.lists(st.integers(0, 1 << 40), max_size=5), st.integers(0, 100))
def test_notes_are_told_apart_and_nothing_of_them_is_lost(sizes: list[int], cut: int) -> None:
    notes = [note(size) for size in sizes]
    data = b"".join(notes)
    assert epochs.split(data) == notes
    assert b"".join(epochs.split(data[:-cut])) == data[:-cut]


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_no_bytes_make_splitting_fail_or_lose_any(data: bytes) -> None:
    assert b"".join(epochs.split(data)) == data
    for one in epochs.split(data):
        with pytest.raises(LedgerCorrupt):
            epochs.opened(one, [FIXED.public], "it")


def test_only_a_beginning_of_the_newest_note_is_a_killed_clerks(tmp_path: Path) -> None:
    directory = str(tmp_path)

    def history(current: bytes | None) -> tuple[list[bytes], int]:
        found = epochs.History(directory, current)
        return list(found), found.torn

    assert history(None) == ([], 0)
    one, two, other = note(1), note(2, 2), note(3, 3)
    epochs.append(directory, epochs.NAME, one)
    epochs.append(directory, epochs.NAME, two[:50])
    assert history(two) == ([one], 50)
    assert history(other) == ([one, two[:50]], 0)
    epochs.append(directory, epochs.NAME, two, torn=50)
    assert history(two) == ([one, two], 0)


def test_an_epoch_record_names_the_next_epoch_and_a_key_of_this_ledger() -> None:
    key = keys.new_epoch(FIXED.name, 7).public
    assert epochs.committed(epochs.commitment(7, key), FIXED.name) == (7, key)
    wrong: list[object] = [
        None, [], {}, {"epoch": 7}, {"epoch": "7", "key": key.vkey()}, {"epoch": True, "key": ""},
        {"epoch": 8, "key": key.vkey()}, {"epoch": 7, "key": key.vkey()[:-3]},
        {"epoch": 7, "key": key.vkey(), "more": 1}, {"epoch": 7, "key": 7},
        {"epoch": 7, "key": SigningKey.new("other/epoch/7").public.vkey()},
        {"epoch": -1, "key": ""},
        {"epoch": 1 << 63, "key": key.vkey()}, {"epoch": 7.0, "key": key.vkey()},
    ]  # fmt: skip
    for one in wrong:
        with pytest.raises(NoteMalformed):
            epochs.committed(msgspec.msgpack.encode(one), FIXED.name)
    for payload in (b"", b"\xc1", b"\x91" * 100_000, bytes(5000)):
        with pytest.raises(NoteMalformed):
            epochs.committed(payload, FIXED.name)


@pytest.mark.parametrize(
    "line", [b"x\n", b"a b c\n", b"\n", KEY.public.vkey().encode() + b"\n", b"\xff\n"]
)
def test_a_line_of_keys_that_is_none_is_named(line: bytes) -> None:
    good = f"{KEY.public.vkey()} {bytes(32).hex()} {bytes(32).hex()}\n".encode()
    assert len(epochs.remembered(good * 3)) == 3
    assert epochs.remembered(None) == []
    with pytest.raises(LedgerCorrupt, match="line 2 of keys/epochs cannot be read"):
        epochs.remembered(good + line)
    assert len(epochs.remembered(good + good[:-1])) == 1
    for changed in (good.upper(), good.replace(b" ", b"  ")):
        with pytest.raises(LedgerCorrupt, match="line 1 of keys/epochs cannot be read"):
            epochs.remembered(changed)
