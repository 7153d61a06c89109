"""`belljar log consistency OLD NEW`: that one tree is how another begins; or check such a proof."""

from __future__ import annotations

import sys

from belljar.cli.log_prove import read, trusted
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

    sides = [_side(one, options) for one in (options.old, options.new) if one is not None]
    try:
        if options.check is None:
            if len(sides) != 2:
                raise UsageError("consistency OLD NEW, or consistency --check FILE")
            text = prove.prove_consistency(options.directory, sides[0][0], sides[1][0])
        else:
            text = read(options.check).decode("utf-8", "replace")
        found = prove.check_consistency(text.encode())
        for (size, root), (_size, point) in zip(found, sides, strict=False):
            if size != _size or (point is not None and point.root != root):
                raise LedgerCorrupt(f"the checkpoint of {_size} records is not of this tree", 0)
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
            }
        )
    else:
        print(f"consistent: the tree of {old} records is how that of {new} begins")
    return 0


def _side(text: str, options: Namespace) -> tuple[int, Checkpoint | None]:
    """The size that was asked for, and the checkpoint where it came as a file."""
    from belljar.ledger.tree.checkpoint import whole
    from belljar.ledger.tree.epochs import opened

    size = whole(text)
    if size is not None:
        return size, None
    point = opened(read(text), trusted(options.key, options.directory)[:1], text)
    return point.size, point
