"""What a process must be given so that the recorder attaches to it and to its children."""

from __future__ import annotations

from belljar._native import RECORDER
from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHANNEL = "BELLJAR_CHANNEL"
PAGE = "BELLJAR_PAGE"
WINDOW = "BELLJAR_WINDOW"
STRICT = "BELLJAR_STRICT"
ANSWERS = "BELLJAR_ANSWERS"
SETTINGS = "BELLJAR_SETTINGS"

#: What a full channel means: wait (and end where the collector is gone), lose events, end.
OVERFLOWS = ("block", "drop", "exit")
_ACTIONS = ("keep", "skip", "ask")
_MOST_STACKS = 32
_MOST_SECONDS = 86400
_MOST_TEXT = 128
_MOST_PATTERNS = 4096


def settings(
    overflow: str = "block",
    deadline: float = 5.0,
    stacks: int = 0,
    locals: bool = False,  # noqa: A002
    select: Iterable[tuple[str, str]] = (),
    *,
    resolve: bool = False,
) -> str:
    """The text of a settings file: what a full channel means, how many seconds an event that asks
    waits for its answer, how many frames of the stack are told and whether with their simple local
    values, whether paths are resolved, and what happens to which events.

    `select` are pairs of an action (`keep`, `skip`, `ask`) and a pattern of names, in which `*`
    stands for any text; the first that matches decides, and other events are kept.
    Raises `ValueError` for what the recorder would refuse.

    >>> settings("drop", 0.5, select=[("skip", "import")]).splitlines()[-1]
    'skip\timport'
    """
    milliseconds = round(deadline * 1000) if 0 < deadline <= _MOST_SECONDS else 0
    if overflow not in OVERFLOWS:
        raise ValueError(f"overflow is one of {', '.join(OVERFLOWS)}, not {overflow!r}")
    if not milliseconds:
        raise ValueError(f"a deadline has 0.001 to {_MOST_SECONDS} seconds, not {deadline}")
    if not 0 <= stacks <= _MOST_STACKS:
        raise ValueError(f"0 to {_MOST_STACKS} frames of a stack can be told, not {stacks}")
    lines = [f"overflow\t{overflow}", f"deadline\t{milliseconds}", f"stacks\t{stacks}"]
    lines += [f"locals\t{int(locals)}", f"resolve\t{int(resolve)}"]
    patterns = list(select)
    if len(patterns) > _MOST_PATTERNS:
        raise ValueError(f"at most {_MOST_PATTERNS} patterns can be told, not {len(patterns)}")
    for action, pattern in patterns:
        size = len(pattern.encode("utf-8", "replace"))
        if action not in _ACTIONS or not 0 < size <= _MOST_TEXT or not pattern.isprintable():
            raise ValueError(f"cannot select events by {action!r} {pattern!r}")
        lines.append(f"{action}\t{pattern}")
    return "\n".join(lines) + "\n"


def environment(
    base: Mapping[str, str],
    channel: str,
    *,
    page: str | None = None,
    window: str | None = None,
    strict: bool = False,
    answers: str | None = None,
    settings: str | None = None,
    recorder: str = RECORDER,
) -> dict[str, str]:
    """`base` with what the recorder needs added: our library before any other in LD_PRELOAD.

    `channel` is the FIFO's path as the process will see it; likewise `page` names the collector's
    page (without it every event is a write of its own), `window` the table of the in-guest
    window, `answers` the file in which a process finds the answer to an event that asks, and
    `settings` the file of the recorder's settings; with `strict` a Python that cannot be recorded
    does not start (125).
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
    given = {PAGE: page, WINDOW: window, ANSWERS: answers, SETTINGS: settings}
    for name, value in {**given, STRICT: "1" if strict else None}.items():
        found.pop(name, None)
        if value is not None:
            found[name] = value
    return found
