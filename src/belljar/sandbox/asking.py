"""Which events of a guest wait for the host's answer: the text of the recorder's settings.

On the way to every start, so that the usual case is a constant and imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Policy

DEFAULT: Final = ("run", "connect", "native")
#: What `names_needing(DEFAULT)` says; a test compares them.
NAMES: Final = (
    "socket.connect", "socket.sendto", "socket.sendmsg", "os.system", "os.exec", "os.posix_spawn",
    "subprocess.Popen", "_posixsubprocess.fork_exec", "import/native", "ctypes.dlopen",
    "ctypes.call_function", "ctypes.cdata", "ctypes.cdata/buffer", "ctypes.string_at",
    "ctypes.wstring_at", "ctypes.memoryview_at", "ctypes.PyObj_FromPtr", "sqlite3.load_extension",
)  # fmt: skip


def must_log(policy: Policy) -> tuple[str, ...]:
    """The rights whose events wait until the ledger has them: none where there is no ledger."""
    return () if policy.ledger == "none" else policy.must_log


def settings(policy: Policy) -> str:
    """The settings of a guest's recorder; empty where nothing has to wait.

    >>> from belljar.model import Policy
    >>> settings(Policy()).splitlines()[0]
    'ask\\tsocket.connect'
    """
    rights = must_log(policy)
    refusing = any(rule.then in ("deny", "kill") for rule in policy.rules)
    names: tuple[str, ...] = NAMES if rights == DEFAULT else ()
    if refusing or (rights and not names):
        from belljar.policy.rules import Rules
        from belljar.watch.arbiter import selecting

        chosen = selecting(Rules(policy.rules), rights)
        names = tuple(name for key, name in chosen if key == "ask")
    return "".join(f"ask\t{name}\n" for name in names)
