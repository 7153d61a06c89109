#!/usr/bin/env python3
"""Random tampering with a ledger: `belljar log verify` has to find each, and to say where.

    python tools/tamper.py [--mutations 100000] [--seed N] [--processes 2]

Prints what was tried of each kind and how long it took; status 1 if anything passed or was
reported somewhere else. `tests/unit/ledger/test_tamper.py` runs a few hundred of the same.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("BELLJAR_CLERK", "none")

import tamper_forge as forge

from belljar.errors import LedgerError
from belljar.ledger.proof.whole import examine

Files = dict[str, bytes]
#: What changes (None: deleted), and words one of which the finding must have.
Mutation = tuple[dict[str, bytes | None], tuple[str, ...]]
Kind = Callable[["Bench", random.Random], Mutation | None]

#: Not evidence: locks, and what the clerk says of itself.
NO_EVIDENCE = ("clerk.lock", "clerk.state", "ledger.use")


class Bench:
    """Two signed ledgers with everything a ledger can have, one of which is tampered with."""

    def __init__(self, root: str, runs: int) -> None:
        self.state = os.environ["XDG_STATE_HOME"] = os.path.join(root, "state")
        self.directory = os.path.join(root, "ledger")
        self.history, self.keys = forge.make(self.directory, runs)
        forge.make(os.path.join(root, "other"), runs)
        self.files = forge.snapshot(self.directory)
        self.other = forge.snapshot(os.path.join(root, "other"))
        self.witness = forge.cosigned(root, self.directory)
        self.files = forge.snapshot(self.directory)
        self.evidence = sorted(set(self.files) - set(NO_EVIDENCE))
        self.books = forge.books(self.files)
        self.records = forge.records(self.files)
        self.needed = forge.needed_tiles(self.files)
        self.pin = self.files["checkpoint"]

    def judge(self, pinned: bool = False, witnessed: bool = True) -> str:
        """What `verify` says; empty when it finds nothing."""
        os.environ["XDG_STATE_HOME"] = self.state
        try:
            examine(
                self.directory,
                witnesses=[self.witness] if witnessed else [],
                pin=self.pin if pinned else None,
            )
        except LedgerError as error:
            return str(error)
        return ""

    def apply(self, changes: dict[str, bytes | None]) -> None:
        """Change the files on disk."""
        for name, data in changes.items():
            path = os.path.join(self.directory, name)
            if data is None:
                if os.path.lexists(path):
                    os.unlink(path)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.write(fd, data)
                os.close(fd)

    def undo(self, changes: dict[str, bytes | None]) -> None:
        """Put back what `apply` changed."""
        self.apply({name: self.files.get(name) for name in changes})

    def try_one(self, kind: str, chance: random.Random) -> str | None:
        """Tamper once; None when it was found where it was, else what went wrong."""
        made = KINDS[kind](self, chance)
        if made is None:
            return ""
        changes, words = made
        if all(self.files.get(name) == data for name, data in changes.items()):
            return ""
        self.apply(changes)
        try:
            said = self.judge(kind in PINNED, kind != "rebuilt")
        finally:
            self.undo(changes)
        if not said:
            return f"{kind}: {self.named(changes)} passed"
        if not any(word in said for word in words):
            return f"{kind}: {self.named(changes)} was reported as {said!r}, not {words}"
        return None

    @staticmethod
    def named(changes: dict[str, bytes | None]) -> str:
        """The files, the first of them."""
        names = sorted(changes)
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    def where(self, name: str, offset: int) -> tuple[str, ...]:
        """How a finding may call the byte at `offset` of a file."""
        if name not in self.books:
            return (name, *ALIASES.get(name.partition("/")[0], ()))
        for number, (book, begin, end) in enumerate(self.records, 1):
            if book == name and begin <= offset < end:
                return (f"record {number} ",)
        number = next(n for n, (book, *_rest) in enumerate(self.records, 1) if book == name)
        header = "file header", "not a ledger", "ledger format"
        return (name, *header, f"record {number} ", *self.begins(name))

    def anywhere(self, name: str) -> tuple[str, ...]:
        """How a finding may call a file that is another as a whole."""
        if name not in self.books:
            return self.where(name, 0)
        mine = [n for n, (book, *_rest) in enumerate(self.records, 1) if book == name]
        words = [f"record {n} " for n in (*mine, mine[-1] + 1)]
        if name == "ledger.blj":
            words += ["file header", "not a ledger", "cannot read the ledger"]
        return (name, *self.begins(name), *words)

    def begins(self, name: str) -> tuple[str, str]:
        """A book, by the number of its first entry."""
        begin = next(begin for book, begin, _end in self.records if book == name)
        first = int.from_bytes(self.files[name][begin + 24 : begin + 32], "little")
        return f"the book that begins with entry {first} ", f"entries {first} to "


#: What a flaw in one of two files that have to agree may be called, too.
ALIASES = {"keys": ("keys/",), "epochs": ("epochs",), "tile": ("tile/",)}


def flip(bench: Bench, chance: random.Random) -> Mutation:
    """One bit of one file."""
    name = chance.choice(bench.evidence)
    if chance.random() < 0.3:
        name = chance.choice(bench.books)
    data = bytearray(bench.files[name])
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)
    return {name: bytes(data)}, bench.where(name, at)


def overwrite(bench: Bench, chance: random.Random) -> Mutation:
    """Some bytes of one file."""
    name = chance.choice(bench.evidence)
    data = bytearray(bench.files[name])
    at = chance.randrange(len(data))
    size = min(chance.randrange(1, 200), len(data) - at)
    data[at : at + size] = chance.choice((bytes(size), chance.randbytes(size)))
    first = next((i for i in range(at, at + size) if data[i] != bench.files[name][i]), at)
    return {name: bytes(data)}, bench.where(name, first)


def shorten(bench: Bench, chance: random.Random) -> Mutation | None:
    """The end of one file, anywhere."""
    name = chance.choice(bench.evidence)
    size = chance.randrange(len(bench.files[name]))
    if name in bench.books:
        return {name: bench.files[name][:size]}, (*bench.where(name, size), name)
    return {name: bench.files[name][:size]}, bench.where(name, size)


def lengthen(bench: Bench, chance: random.Random) -> Mutation | None:
    """Something more at the end of one file, or in it."""
    name = chance.choice(bench.evidence)
    old = bench.files[name]
    more = chance.choice((chance.randbytes(chance.randrange(1, 300)), old))
    if name in bench.books and chance.random() < 0.5:
        at = chance.choice([end for book, _b, end in bench.records if book == name])
    else:
        at = chance.choice((len(old), chance.randrange(len(old))))
    if name == "ledger.blj" and at == len(old):
        return None  # an unsigned record, or a torn end
    number = next(
        (n for n, (b, s, e) in enumerate(bench.records, 1) if b == name and s <= at < e), 0
    )
    words = bench.where(name, at) if at < len(old) else (name,)
    return {name: old[:at] + more + old[at:]}, (*words, name, f"record {number} ")


def records(bench: Bench, chance: random.Random) -> Mutation:
    """Whole records deleted, repeated, swapped or moved."""
    one, two = sorted(chance.sample(range(len(bench.records)), 2))
    book, begin, end = bench.records[one]
    data = bench.files[book]
    what = chance.randrange(4)
    words: tuple[str, ...] = (f"record {one + 1} ", book)
    if what == 0:
        return {book: data[:begin] + data[end:]}, words
    if what == 1:
        last = f"record {one + 2} "
        return {book: data[:end] + data[begin:end] + data[end:]}, (last, book, "follows the one")
    other, start, stop = bench.records[two]
    if what == 2 and book == other:
        parts = data[:begin] + data[start:stop] + data[end:start] + data[begin:end] + data[stop:]
        return {book: parts}, words
    if book == other:
        return {book: data[:begin] + data[end:stop] + data[begin:end] + data[stop:]}, words
    moved = bench.files[other]
    return {
        book: data[:begin] + data[end:],
        other: moved[:start] + data[begin:end] + moved[start:],
    }, words


def splice(bench: Bench, chance: random.Random) -> Mutation | None:
    """A file, or records, of another ledger."""
    name = chance.choice([n for n in bench.evidence if n in bench.other])
    if name in bench.books and chance.random() < 0.7:
        number = chance.randrange(len(bench.records))
        book, begin, end = bench.records[number]
        theirs = forge.records(bench.other)
        other, start, stop = chance.choice(theirs)
        data = bench.files[book]
        part = bench.other[other][start:stop]
        return {book: data[:begin] + part + data[end:]}, (f"record {number + 1} ", book)
    return {name: bench.other[name]}, bench.anywhere(name)


def files(bench: Bench, chance: random.Random) -> Mutation | None:
    """A file deleted, emptied, or another one in its place."""
    name = chance.choice(bench.evidence)
    what = chance.randrange(4)
    words = bench.anywhere(name)
    if what == 0:
        if name.startswith("tile/") and name not in bench.needed:
            return None  # what it had, a wider one has
        if name.startswith("torn-"):
            return None  # told, and no flaw: no entry is lost
        return {name: None}, words
    if what == 1:
        return {name: b""}, words
    other = chance.choice(bench.evidence)
    if what == 2:
        return {name: bench.files[other]}, words
    return {
        name: bench.files[other], other: bench.files[name],
    }, (*words, *bench.anywhere(other))  # fmt: skip


def older(bench: Bench, chance: random.Random) -> Mutation | None:
    """One file as it was at an earlier time."""
    past = chance.choice(bench.history)
    name = chance.choice([n for n in bench.evidence if n in past])
    if past[name] == bench.files[name]:
        return None
    return {name: past[name]}, bench.anywhere(name)


def notes(bench: Bench, chance: random.Random) -> Mutation:
    """Notes of `epochs` deleted, repeated or reordered; or one that is another checkpoint."""
    data = forge.split(bench.files["epochs"])
    one, two = chance.sample(range(len(data)), 2)
    what = chance.randrange(4)
    if what == 0:
        del data[one]
    elif what == 1:
        data.insert(two, data[one])
    elif what == 2:
        data[one], data[two] = data[two], data[one]
    else:
        data[one] = chance.choice(bench.history)["checkpoint"]
    return {"epochs": b"".join(data)}, ("epochs", "keys/epoch", "checkpoint is")


def resigned(bench: Bench, chance: random.Random) -> Mutation:
    """A note signed again: with a strange key, an older epoch's, or without one signature."""
    return forge.resign(bench.files, bench.keys, chance), ("checkpoint", "epochs")


def rebuilt(bench: Bench, chance: random.Random) -> Mutation:
    """A record from before the current epoch changed, and everything behind it made anew and signed
    by who holds the keys of today; with or without new epochs, too."""
    changes, low, high = forge.rebuild(bench.files, bench.keys, chance)
    return changes, ("epochs", *(f"record {n} " for n in range(low, high + 1)))


def rolled_back(bench: Bench, chance: random.Random) -> Mutation:
    """The whole ledger as it was earlier; found against a pin."""
    past = chance.choice(bench.history[:-1])
    changes: dict[str, bytes | None] = dict.fromkeys(bench.files)
    changes.update(past)
    changes.update({n: d for n, d in bench.files.items() if n.startswith("witness/")})
    return changes, ("checkpoint is older than",)


def cut_off(bench: Bench, chance: random.Random) -> Mutation:
    """The newest records cut off at a record's end."""
    mine = [(n, b, s) for n, (b, s, _e) in enumerate(bench.records, 1) if b == "ledger.blj"]
    number, book, start = chance.choice(mine)
    return {book: bench.files[book][:start]}, (f"record {number} ",)


KINDS: dict[str, Kind] = {
    "flip": flip, "overwrite": overwrite, "shorten": shorten, "lengthen": lengthen,
    "records": records, "splice": splice, "files": files, "older": older, "notes": notes,
    "resigned": resigned, "rebuilt": rebuilt, "rolled back": rolled_back, "cut off": cut_off,
}  # fmt: skip
#: How often each is tried; what makes everything anew is slow.
WEIGHTS = {"flip": 30, "rebuilt": 1, "rolled back": 2}
#: Those that only a pin or a witness finds.
PINNED = ("rolled back",)


def tamper(bench: Bench, count: int, seed: int) -> Iterator[tuple[str, str | None]]:
    """`count` mutations; the kind of each, and what went wrong (None: it was found)."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    weights = [WEIGHTS.get(kind, 6) for kind in KINDS]
    done = 0
    while done < count:
        kind = chance.choices(list(KINDS), weights)[0]
        wrong = bench.try_one(kind, chance)
        if wrong != "":
            done += 1
            yield kind, wrong


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    started = time.monotonic()
    root = tempfile.mkdtemp(
        prefix="belljar-tamper-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
    )
    children = []
    try:
        for number in range(options.processes):
            child = os.fork()
            if child == 0:
                os._exit(_share(options, os.path.join(root, str(number)), number))
            children.append(child)
        failed = [os.waitpid(child, 0)[1] for child in children]
        total: Counter[str] = Counter()
        for number in range(options.processes):
            for line in Path(root, f"{number}.counts").read_text().splitlines():
                kind, _, count = line.rpartition(" ")
                total[kind] += int(count)
    finally:
        shutil.rmtree(root)
    for kind, count in sorted(total.items()):
        print(f"{kind:12} {count:7}")
    seconds = time.monotonic() - started
    wrong = "some" if any(failed) else "none"
    print(f"{sum(total.values())} mutations in {seconds:.0f} s, wrong: {wrong}")
    return 1 if any(failed) else 0


def _share(options: argparse.Namespace, root: str, number: int) -> int:
    os.makedirs(root)
    # Most on a small ledger, which is quick; some on one whose tree has a second level of tiles.
    share = options.mutations // options.processes
    wrongs = 0
    counts: Counter[str] = Counter()
    for name, runs, part in (("small", 6, share - share // 20), ("large", 80, share // 20)):
        bench = Bench(os.path.join(root, name), runs)
        assert not (said := bench.judge(pinned=True)), said
        for kind, wrong in tamper(bench, part, options.seed + number):
            counts[kind] += 1
            if wrong:
                wrongs += 1
                print(wrong, flush=True)
        assert not bench.judge()
    Path(f"{root}.counts").write_text("".join(f"{k} {n}\n" for k, n in counts.items()))
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
