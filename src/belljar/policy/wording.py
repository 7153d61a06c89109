"""Words for what a right does to its target, as DESIGN.md words denials."""

from __future__ import annotations

_WORDS = {
    "read": "read", "list": "list", "write": "write", "append": "append to", "execute": "execute",
    "connect": "connect to", "bind": "listen on", "resolve": "resolve", "run": "run",
    "import": "import", "native": "load", "signal": "signal", "process": "start",
    "code": "make code with",
}  # fmt: skip


def words_for(right: str, otherwise: str = "") -> str:
    """What is done to a target by a right.

    >>> words_for("connect")
    'connect to'
    """
    # an import executes code, too: its event says more than the right
    return otherwise if right == "code" else _WORDS.get(right, otherwise)
