"""What `tamper.py` tampers with, and forgeries by who holds keys: everything made anew."""

from __future__ import annotations

import os
import random
import tempfile
from hashlib import sha256

from belljar.ledger import DECISIONS, END, EVENTS, START, Writer
from belljar.ledger.format import (
    EPOCH,
    FILE,
    FILE_SIZE,
    HEAD_SIZE,
    NEXT_SIZE,
    RECORD,
    encode,
    file_header,
)
from belljar.ledger.leaf import LEAF
from belljar.ledger.tree import epochs, keys
from belljar.ledger.tree.checkpoint import ours, parse
from belljar.ledger.tree.merkle import Tree, leaf_hash
from belljar.ledger.tree.notary import Notary
from belljar.ledger.tree.note import COSIGNATURE, Note, SigningKey, VerifierKey, parse_note, sign
from belljar.ledger.tree.tilefiles import ENTRIES, WIDTH, path
from belljar.ledger.tree.tiles import Tiles

Files = dict[str, bytes]
Changes = dict[str, bytes | None]
split = epochs.split
EPOCHS = 4
#: book, begin, end
Place = tuple[str, int, int]


def make(directory: str, runs: int) -> tuple[list[Files], dict[int, SigningKey]]:
    """A ledger with several books, epochs and a torn end of the past; it as it was at times, and
    every key it ever had (the fixed one as -1)."""
    history: list[Files] = []
    had: dict[int, SigningKey] = {}
    notary = Notary(directory)
    os.makedirs(directory, 0o700)
    for epoch in range(EPOCHS):
        for number in range(runs):
            with Writer(directory, clerk=False, sync="never", book=2500 * runs // 6) as writer:
                run = os.urandom(16)
                # It need not decode: nothing looks into it here.
                noise = os.urandom(20 + os.urandom(1)[0] // 2)
                writer.append([(START, 1, noise), (EVENTS, 5, noise * 3)], run)
                writer.append([(DECISIONS, 2, noise), (END, 1, noise)], run)
            if number == 1:
                notary.round()
                history.append(snapshot(directory))
        if epoch == 1:
            with open(os.path.join(directory, "ledger.blj"), "ab") as file:
                file.write(b"\xb1LJ\n" + b"torn")
        notary.round()
        had[-1] = keys.load(os.path.join(directory, keys.FIXED))
        had[epoch] = keys.load(os.path.join(directory, keys.EPOCH))
        if epoch < EPOCHS - 1:
            notary.end_epoch()
        history.append(snapshot(directory))
    notary.close()
    return history, had


def snapshot(directory: str) -> Files:
    """Every file of a ledger."""
    found = {}
    for folder, _folders, names in os.walk(directory):
        for name in names:
            full = os.path.join(folder, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, directory)] = file.read()
    return found


def cosigned(root: str, directory: str) -> VerifierKey:
    """Let a witness cosign; its key."""
    from belljar.ledger.witness.cosign import Witness, write_cosigned
    from belljar.ledger.witness.protocol import watch

    key = SigningKey.new("witness.example", COSIGNATURE)
    note, _new = watch(Witness(os.path.join(root, "witness"), key), directory)
    write_cosigned(directory, key.public, note)
    return key.public


def books(files: Files) -> list[str]:
    """The books, in order."""
    return [*sorted(name for name in files if name.startswith("books/")), "ledger.blj"]


def records(files: Files) -> list[Place]:
    """Where each record lies."""
    found = []
    for name in books(files):
        data = files[name]
        at = int.from_bytes(data[10:12], "little")
        while at < len(data):
            end = at + RECORD.size + 44 + int.from_bytes(data[at + 36 : at + 40], "little")
            found.append((name, at, end))
            at = end
    return found


def needed_tiles(files: Files) -> set[str]:
    """The tiles that the newest checkpoint cannot do without."""
    size = parse(parse_note(files["checkpoint"]).text).size
    found = set()
    for level in (ENTRIES, 0, 1, 2):
        count = size >> 8 * (0 if isinstance(level, str) else level)
        for number in range((count + WIDTH - 1) // WIDTH):
            found.add(path(level, number, min(WIDTH, count - number * WIDTH)))
    return found


def resign(files: Files, had: dict[int, SigningKey], chance: random.Random) -> Changes:
    """A note that is signed by others than it has to be."""
    notes = split(files["epochs"])
    which = chance.randrange(len(notes) + 1)
    old = files["checkpoint"] if which == len(notes) else notes[which]
    note = parse_note(old)
    found = parse(note.text)
    epoch = found.epoch or 0
    fixed, right = had[-1], had[epoch]
    wrong = had[chance.choice([n for n in had if n not in (-1, epoch)])]
    strange = chance.choice((fixed, right))
    what = chance.randrange(5)
    if what == 0:
        other = SigningKey.new(strange.name)
        new = sign(note.text, [other if key is strange else key for key in (fixed, right)])
    elif what == 1:
        new = sign(note.text, [fixed, wrong])
    elif what == 2:
        new = sign(note.text, [strange])
    elif what == 3:
        text = ours(found.origin, found.size, found.root, epoch, (found.time or 0) + 1).render()
        line = next(s for s in note.signatures if s.name == right.name)
        new = Note(text, (fixed.sign(text), line)).render()
    else:
        number = int(wrong.name.rpartition("/")[2])
        text = ours(found.origin, found.size, found.root, number, found.time or 0).render()
        new = sign(text, [fixed, wrong])
    if which == len(notes):
        return {"checkpoint": new}
    notes[which] = new
    return {"epochs": b"".join(notes)}


def rebuild(
    files: Files, had: dict[int, SigningKey], chance: random.Random
) -> tuple[Changes, int, int]:
    """Change a record that an ended epoch has signed, and make everything behind it anew.

    The forger has the keys of today: the fixed one and the current epoch's. Old epochs' notes
    stay, or are signed with what there is, or by new keys that the records are made to name.
    Also the first and last record, from 1, where the finding may point.
    """
    ended = [parse(parse_note(note).text).size for note in split(files["epochs"])]
    places = records(files)
    kinds = [files[name][begin + 5] for name, begin, _end in places]
    target = chance.choice([n for n in range(ended[-1]) if kinds[n] in (START, EVENTS, DECISIONS)])
    what = chance.randrange(3)
    fresh = {n: SigningKey.new(key.name) for n, key in had.items() if n > 0}
    if what < 2:
        fresh = {}
    changes, tree, lines = _chain(files, places, target, fresh, chance)
    fixed, last = had[-1], parse(parse_note(files["checkpoint"]).text)
    current = fresh.get(last.epoch or 0, had[last.epoch or 0])
    size = tree.size
    changes["checkpoint"] = sign(
        ours(last.origin, size, tree.root(), last.epoch or 0, last.time or 0).render(),
        [fixed, current],
    )
    changes["keys/epochs"] = lines
    if fresh:
        changes["keys/epoch"] = f"{current.private()}\n".encode()
    if what:
        notes = []
        for number, (note, upto) in enumerate(zip(split(files["epochs"]), ended, strict=True)):
            old = parse_note(note)
            time = parse(old.text).time or 0
            text = ours(last.origin, upto, tree.root(upto), number, time).render()
            line = fresh[number].sign(text) if number in fresh else old.signatures[1]
            notes.append(Note(text, (fixed.sign(text), line)).render())
        changes["epochs"] = b"".join(notes)
    changes.update({name: None for name in files if name.startswith("witness/")})
    return changes, target + 1, size


def _chain(
    files: Files,
    places: list[Place],
    target: int,
    fresh: dict[int, SigningKey],
    chance: random.Random,
) -> tuple[Changes, Tree, bytes]:
    """Books, tiles, tree and lines of `keys/epochs` with record `target` changed."""
    parts: dict[str, list[bytes]] = {}
    leaves: list[bytes] = []
    lines: list[bytes] = []
    epoch = entry = 0
    seed = chain = b""
    for index, (name, begin, end) in enumerate(places):
        data = files[name]
        if name not in parts:
            *_magic, created, seed = FILE.unpack_from(data)
            before = (chain, entry, index) if index else None
            head = file_header(seed, created, before)
            assert len(head) == (NEXT_SIZE if index else FILE_SIZE)
            parts[name] = [head]
            chain = head[-32:]
        _m, _v, kind, flags, run, first, count, length, time = RECORD.unpack_from(data, begin)
        payload = data[begin + HEAD_SIZE : begin + HEAD_SIZE + length]
        if index == target:
            at = chance.randrange(length)
            payload = payload[:at] + bytes((payload[at] ^ 1,)) + payload[at + 1 :]
        previous = chain
        if kind == EPOCH:
            epoch += 1
            if epoch in fresh:
                payload = epochs.commitment(epoch, fresh[epoch].public)
        made, chain = encode(seed, chain, sha256, (kind, flags, run, first, count, time), payload)
        if kind == EPOCH:
            vkey = epochs.committed(payload, _origin(files))[1].vkey()
            lines.append(f"{vkey} {seed.hex()} {previous.hex()}\n".encode())
        parts[name].append(b"".join(made))
        leaves.append(LEAF.pack(first, count, len(payload), time, chain))
        entry = first + count
        assert end - begin == len(parts[name][-1])
    changes: Changes = {name: b"".join(part) for name, part in parts.items()}
    changes.update({name: None for name in files if name.startswith("tile/")})
    with tempfile.TemporaryDirectory() as folder:
        Tiles(folder, 0).append(leaves)
        changes.update(snapshot(folder))
    return changes, Tree(map(leaf_hash, leaves)), b"".join(lines)


def _origin(files: Files) -> str:
    return parse(parse_note(files["checkpoint"]).text).origin
