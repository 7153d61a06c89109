"""What `belljar.confine()` leaves in the ledger: one run of two entries, written before the walls.

The process does not keep the ledger open: who is confined must not be able to write on, and what
it does later is for `belljar watch`, from outside, to record.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.runtime import Runtime
    from belljar.model import Policy, Status


def record(policy: Policy, runtime: Runtime, receipt: Status) -> None:
    """Say in the ledger what is about to hold. Raises `LedgerError`, `PolicyError` for a grant that
    covers the ledger."""
    from belljar.ledger import END, START, open_writer, path_of, resolve

    place = resolve(policy.ledger)
    if place is None:
        return
    from belljar import __version__
    from belljar._native import pack
    from belljar.confine import sensitive
    from belljar.ledger.starts import guest, program
    from belljar.policy import digest, explain, to_plain

    sensitive.check_own(policy.grants, (path_of(place),))
    argv = [_plain(word) for word in sys.orig_argv]
    start = {
        "kind": "confine", "guest": guest(*program(argv)), "argv": argv, "cwd": _plain(os.getcwd()),
        "python": runtime.version, "interpreter": _plain(runtime.program),
        "policy": [[_plain(text) for text in row] for row in explain(policy)],
        "policy-digest": digest(policy), "effective": to_plain(policy),
        "tier": receipt.tier, "uid": os.geteuid(), "pid": os.getpid(), "belljar": __version__,
        "status": [[r.name, r.level, _plain(r.by), _plain(r.reason)] for r in receipt.protections],
    }  # fmt: skip
    run = os.urandom(16)
    writer = open_writer(place, policy.sync)
    try:
        end = {"ended-by": "confined", "status": 0, "signal": 0}
        writer.append([(START, 1, pack(start)), (END, 1, pack(end))], run)
    finally:
        writer.close()


def _plain(text: object) -> str:
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
