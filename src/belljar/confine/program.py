"""What a sandbox is to run."""

from __future__ import annotations

from belljar.model import Value


class Program(Value):
    """`kind` is `script`, `code`, `module`, or `live` (asked over a bridge); `cwd` is the host's
    working directory.

    `python` names an interpreter or virtual environment, or is None for the usual choice.
    """

    kind: str
    target: str
    args: tuple[str, ...]
    cwd: str
    protect: tuple[str, ...] = ()  # files that the guest must not write, whatever it is granted
    python: str | None = None
    name: str = ""  # what denials and the record call the guest
    branches: int = 0  # of a live guest: how many copies of it may live beside it
