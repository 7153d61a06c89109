"""What a process must be given so that the recorder attaches to it and to its children."""

from __future__ import annotations

from belljar._native import RECORDER
from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CHANNEL = "BELLJAR_CHANNEL"
PAGE = "BELLJAR_PAGE"
WINDOW = "BELLJAR_WINDOW"
STRICT = "BELLJAR_STRICT"


def environment(
    base: Mapping[str, str],
    channel: str,
    *,
    page: str | None = None,
    window: str | None = None,
    strict: bool = False,
    recorder: str = RECORDER,
) -> dict[str, str]:
    """`base` with what the recorder needs added: our library before any other in LD_PRELOAD.

    `channel` is the FIFO's path as the process will see it; likewise `page` names the collector's
    page (without it every event is a write of its own), `window` the table of the in-guest
    window; with `strict` a Python that cannot be recorded does not start (125).
    Raises `BelljarError` where LD_PRELOAD cannot name our library: colons and spaces part it.

    >>> environment({"LD_PRELOAD": "x.so"}, "/c", recorder="/r.so")["LD_PRELOAD"]
    '/r.so:x.so'
    """
    if ":" in recorder or " " in recorder:
        raise BelljarError(
            f"cannot record from {recorder}: install Belljar where no path has a space"
        )
    found = dict(base)
    others = [p for p in found.get("LD_PRELOAD", "").replace(" ", ":").split(":") if p]
    found["LD_PRELOAD"] = ":".join([recorder, *(p for p in others if p != recorder)])
    found[CHANNEL] = channel
    for name, value in ((PAGE, page), (WINDOW, window), (STRICT, "1" if strict else None)):
        found.pop(name, None)
        if value is not None:
            found[name] = value
    return found
