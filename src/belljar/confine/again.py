"""The plan of a sandbox that is like the last one: the same words, with another channel in them.

Of many sandboxes in a row each has files of its own for the record, and nothing else that differs.
Where `plan.surroundings` tells all that was looked at, and it is the same, what was found is, too.
"""

from __future__ import annotations

import os

from belljar.confine import plan
from belljar.confine.words import encode, unused_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from belljar.confine.appended import Folder, Pipe
    from belljar.confine.overlay import Overlay
    from belljar.confine.plan import Plan
    from belljar.confine.program import Program
    from belljar.confine.runtime import Runtime, Shown
    from belljar.model import Policy

    Made = tuple[object, tuple[bytes, ...], Plan]

_last: list[Made] = []


def make(
    policy: Policy,
    runtime: Runtime,
    program: Program,
    tier: str,
    channel: str,
    page: str,
    scratch: str,
    cache: str | None,
    answers: str,
    settings: str,
    overlays: Sequence[Overlay],
    appended: Sequence[Pipe],
    shown: Shown,
    folders: Sequence[Folder] = (),
) -> Plan:
    """As `plan.make`, of whose plan it is equal in all."""
    around = plan.surroundings(policy, program, runtime)
    own = tuple(path for path in (channel, page, answers) if path)
    other = overlays or appended or folders
    alike = around is not None and cache and tier != "landlock" and not other
    key = (around, policy, runtime, program.replace(name="", args=()), tier, cache, settings,
           len(own), shown, os.getpid())  # fmt: skip
    for known, pieces, made in _last if alike else ():
        if known != key:
            continue
        if tier == "root":
            for path in own:
                os.chown(path, unused_uid(), unused_uid())
        words = made.words
        for old, new in zip(pieces, _pieces(own), strict=True):
            words = words.replace(old, new)
        return made.replace(words=words, boot={**made.boot, "argv": list(program.args)})
    made = plan.make(
        policy, runtime, program, tier, channel, page, scratch, cache, answers, settings, overlays,
        appended, shown, folders,
    )  # fmt: skip
    pieces = _pieces(own)
    if alike and all(made.words.count(piece) == 1 for piece in pieces):
        _last[:] = [(key, pieces, made)]
    return made


def _pieces(own: tuple[str, ...]) -> tuple[bytes, ...]:
    """The words that bind each of them, as `plan.make` has them."""
    pieces = []
    for path in own:
        stat = os.stat(path)
        inside = f"/belljar/{os.path.basename(path)}"
        words = ["bind", path, inside, "w", str(stat.st_dev), str(stat.st_ino)]
        pieces.append(encode(words))
    return tuple(pieces)
