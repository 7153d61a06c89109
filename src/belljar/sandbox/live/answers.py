"""What a guest's session answers to `run`, `eval`, `call`, `get`: checked, it may say anything."""

from __future__ import annotations

from belljar.errors import GuestError, GuestProtocolError
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: As in `guest/session.py`.
VALUE, EXIT, ERROR = 0, 1, 2
_MOST_TURNS = 4096


class Opaque(Value):
    """In a result's place for a value: one that cannot cross and stays in the guest. `reason` is a
    text of the guest's."""

    reason: str


class Answer(Value):
    """How a request ended: a value, an exit status or an error, and who wrote when."""

    value: Any = None
    status: int = 0
    error: GuestError | None = None
    turns: tuple[tuple[int, int], ...] = ()


def read_answer(answer: object) -> Answer:
    """The answer in what the bridge decoded. Raises `GuestProtocolError`.

    >>> read_answer((VALUE, 5, ())).value
    5
    """
    if type(answer) is not tuple or len(answer) != 3:
        raise GuestProtocolError("an answer is how it ended, a value, and turns")
    how, value, turns = answer
    told = _turns(turns)
    if type(how) is not int:
        raise GuestProtocolError("an answer does not say how it ended")
    if how == VALUE:
        return Answer(value, turns=told)
    if how == EXIT and type(value) is int and 0 <= value <= 255:
        return Answer(status=value, turns=told)
    if how == ERROR and type(value) is tuple and len(value) == 3:
        name, message, text = value
        if type(name) is str and type(message) is str and type(text) is str:
            return Answer(status=1, error=GuestError(name, message, text), turns=told)
    raise GuestProtocolError("an answer that is none of those agreed on")


def _turns(turns: object) -> tuple[tuple[int, int], ...]:
    if type(turns) is not tuple or len(turns) > _MOST_TURNS:
        raise GuestProtocolError("turns are a tuple")
    for turn in turns:
        if type(turn) is not tuple or len(turn) != 2:
            raise GuestProtocolError("a turn is a stream and a size")
        number, size = turn
        if type(number) is not int or number not in (1, 2) or type(size) is not int:
            raise GuestProtocolError("a turn is a stream and a size")
        if not 0 <= size < 1 << 62:
            return ()  # the guest says that it lost count
    return turns
