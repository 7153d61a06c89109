"""What `learn` has to know of the host, as values and functions: it looks at nothing itself."""

from __future__ import annotations

from belljar.model import Policy, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _nothing(_text: str) -> str:
    return ""


def _unknown(_text: str) -> bool | None:
    return None


def _none(_text: str) -> tuple[str, ...]:
    return ()


def _program(text: str) -> tuple[str, str]:
    return text, ""


class Facts(Value):
    """The host as it is when learning.

    `given` is what `belljar run` grants by itself, by the host's names. `real(path)` is where
    links lead; `kind(path)` is `file`, `directory`, `other` or nothing; `new(path)` whether it came
    into being since the record began, None where nobody knows; `changed(path)` whether it was
    written since. `owner(path)` is the distribution that a file of the environment belongs to,
    nothing for what comes with the interpreter, None for neither. `requires(name)` are the
    distributions a grant of `name` brings. `program(name)` is (the file that `run` would start,
    why it cannot be granted). `private` are the directories that are the guest's own inside,
    `obeyed` the names that a sandbox shields, `own` Belljar's directories, `homes` those of
    people, `folder` the program's. `secret(path)` is the known secret file that `path` is another
    name of (a hard link), or nothing.
    """

    given: Policy = Policy()
    real: Callable[[str], str] = str
    kind: Callable[[str], str] = _nothing
    new: Callable[[str], bool | None] = _unknown
    changed: Callable[[str], bool | None] = _unknown
    owner: Callable[[str], str | None] = _nothing
    requires: Callable[[str], tuple[str, ...]] = _none
    program: Callable[[str], tuple[str, str]] = _program
    private: tuple[str, ...] = ("/tmp", "/dev/shm")
    obeyed: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    folder: str = ""
    secret: Callable[[str], str] = _nothing
