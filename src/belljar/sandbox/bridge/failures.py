"""What a guest is told when a call of its did not come off: a type and a text, nothing else.

The type is a builtin exception of the same name, else `HostError`. The text is the exception's
own where it names no path; of an `OSError` it is what the system says of its number, since its own
text names the file. No traceback, no object, no attribute ever crosses.
"""

from __future__ import annotations

import builtins
import os

from belljar.errors import GuestError
from belljar.sandbox.bridge.peer import RaisedForGuest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

EXITED: Final = "it called sys.exit()"
HOST_ERROR: Final = "HostError"
LONGEST: Final = 1000  # characters
WITHHELD: Final = "the host keeps the text of this error to itself"
_NAMES: Final = frozenset(
    name for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
    and not issubclass(kind, Warning) and "Group" not in name
)  # fmt: skip


class Refusal(RaisedForGuest):
    """The host's answer to a call that it will not make, or that failed."""


class Exited(Exception):
    """A host's function called `sys.exit()`: that is not to end who serves the guest."""


def told(error: Exception, *, messages: bool = False) -> Refusal:
    """What a guest is told of `error`, which a host's function raised.

    >>> told(FileNotFoundError(2, "No such file or directory", "/home/me/x")).message
    '[Errno 2] No such file or directory'
    >>> told(ValueError("no such customer: 17")).message
    'no such customer: 17'
    >>> told(RuntimeError("cannot read /home/me/x")).message
    'the host keeps the text of this error to itself'
    """
    if isinstance(error, RaisedForGuest):
        return Refusal(error.type_name, error.message)
    kind = _kind(error)
    try:
        text = _text(error)
        own = text if messages else _harmless(error, text)
    except Exception:  # noqa: BLE001 - a text that cannot be had is none
        own = WITHHELD
    return Refusal(kind, own[:LONGEST])


def _kind(error: Exception) -> str:
    if type(error) is GuestError:  # a guest's own error, on its way back
        return error.type_name if error.type_name in _NAMES else HOST_ERROR
    name = type(error).__name__
    same = name in _NAMES and getattr(builtins, name) is type(error)
    return name if same else HOST_ERROR


def _text(error: Exception) -> str:
    if type(error) is GuestError:
        return error.message
    args = error.args
    if len(args) == 1 and type(args[0]) is str:
        return args[0]  # of a KeyError too, whose str() is a repr
    return str(error)


def _harmless(error: Exception, text: str) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        number = error.errno
        return f"[Errno {number}] {os.strerror(number)}" if type(number) is int else WITHHELD
    if isinstance(error, (ImportError, SyntaxError)):
        return WITHHELD  # both name files, in attributes and in the text
    return WITHHELD if "/" in text or "\\" in text else text
