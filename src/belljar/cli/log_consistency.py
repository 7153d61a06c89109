"""`belljar log consistency OLD NEW`: that one tree is how another begins; or check such a proof."""

from __future__ import annotations

import os
import sys

from belljar.cli.log_prove import confirmed, read, trusted
from belljar.cli.log_text import print_json, safe, with_json, with_ledger
from belljar.errors import LedgerCorrupt, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from belljar.ledger.tree.checkpoint import Checkpoint


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    what = "a number of records, or a file with a checkpoint"
    parser.add_argument("old", nargs="?", metavar="OLD", help=what)
    parser.add_argument("new", nargs="?", metavar="NEW", help=what)
    parser.add_argument("--check", metavar="FILE", help="check this proof; no ledger is needed")
    parser.add_argument("--key", metavar="FILE", help="the ledger's fixed vkey, on its first line")
    with_ledger(parser)
    with_json(parser)


def act(options: Namespace) -> int:
    """0 consistent, 1 not. Of checkpoints in files, signatures and roots are compared, too."""
    from belljar.ledger.proof import prove
    from belljar.ledger.tree.checkpoint import whole

    named = [one for one in (options.old, options.new) if one is not None]
    if options.check is None and len(named) != 2:
        raise UsageError("consistency OLD NEW, or consistency --check FILE [OLD NEW]")
    if options.key and all(whole(one) is not None for one in named):
        raise UsageError("--key is for OLD and NEW that are files with checkpoints: none is one")
    try:
        trust: set[str] = set()
        sides = [_side(one, options, trust) for one in named]
        if len(sides) == 2 and sides[0][0] > sides[1][0]:
            raise UsageError(
                f"OLD has {sides[0][0]} records and NEW {sides[1][0]}: turn them round"
            )
        if options.check is None:
            text = prove.prove_consistency(options.directory, sides[0][0], sides[1][0])
        else:
            text = read(options.check).decode("utf-8", "replace")
        found = prove.check_consistency(text.encode())
        for (size, root), (wanted, point) in zip(found, sides, strict=False):
            if point is None and size != wanted:
                raise LedgerCorrupt(f"the proof is of {size} records, not of {wanted}", 0)
            if point is not None and (size, root) != (wanted, point.root):
                raise LedgerCorrupt(f"the checkpoint of {wanted} records is not of this tree", 0)
    except LedgerCorrupt as error:
        if options.json:
            print_json({"consistent": False, "error": str(error)})
        else:
            print(f"broken: {safe(str(error))}")
        return 1
    if options.check is None and not options.json:
        sys.stdout.write(text)
        return 0
    (old, old_root), (new, new_root) = found
    if options.json:
        print_json(
            {
                "consistent": True,
                "old": {"size": old, "root": old_root.hex()},
                "new": {"size": new, "root": new_root.hex()},
                "signed": [point is not None for _size, point in sides] or [False, False],
                "trust": next(iter(trust), None),
                "proof": text,
            }
        )
    else:
        print(f"consistent: the tree of {old} records is how that of {new} begins")
        for one in sorted(trust):
            print(confirmed(one, options.directory))
        if len(sides) < 2 or None in (point for _size, point in sides):
            print("not checked: whether these roots were signed: name files with checkpoints")
    return 0


def _side(text: str, options: Namespace, trust: set[str]) -> tuple[int, Checkpoint | None]:
    """The size that was asked for, and the checkpoint where it came as a file."""
    from belljar.ledger.tree.checkpoint import whole
    from belljar.ledger.tree.epochs import opened

    size = whole(text)
    if size is not None:
        return size, None
    if not os.path.exists(text):
        raise UsageError(f"{text} is neither a number of records nor a file with a checkpoint")
    key, whose = trusted(options.key, options.directory)
    trust.add(whose)
    point = opened(read(text), [key], text)
    return point.size, point
