"""What one need becomes: lines of a policy, and why one is only proposed, where that is so."""

from __future__ import annotations

from belljar.events.paths import covers
from belljar.policy import addresses
from belljar.policy.modules import UNSAFE_MODULES
from belljar.policy.refused import refused_path
from belljar.policy.secret import METADATA, holds_secrets, inside_home, is_obeyed, is_wide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.policy.facts import Facts

    #: key, value, why it is withheld or nothing
    Row = tuple[str, str, str]

_OURS: Final = ("/belljar", "/box", "/dev", "/proc", "/sys")
_CAN_DO_ANYTHING: Final = ("sh", "bash", "dash", "zsh", "env", "perl", "ruby", "node", "busybox")
_INTERPRETER: Final = "an interpreter: inside it may do what all the grants here allow"


def path(facts: Facts, key: str, value: str, target: str) -> str:
    """Why a grant of `key` on the path `value`, needed for `target`, is not for us to give."""
    try:
        f"{value}{target}".encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8, which a policy cannot say"
    if "\0" in value:
        return "no file has such a name"
    real = facts.real(value)
    reason = refused_path(value) or refused_path(real)
    if reason:
        return reason
    if any(value == top or value.startswith(f"{top}/") for top in _OURS):
        return f"{'/'.join(value.split('/')[:2])} inside is Belljar's own"
    if facts.kind(value) not in ("file", "directory"):
        return "it is neither a file nor a directory"
    names = tuple(dict.fromkeys((value, target, real, facts.real(target))))
    if key == "write":
        reason = next((why for name in names if (why := is_obeyed(name, facts.obeyed))), "")
        if reason:
            return reason
        if any(
            covers(own, name) or covers(name, own) for own in facts.own for name in (value, real)
        ):
            return "it holds Belljar's own files, which no guest may write"
    for name in names:
        reason = holds_secrets(name)
        if reason:
            return reason if name in (value, target) else f"it leads to {name}: {reason}"
    same = facts.secret(value)
    if same:
        return f"it is the same file as {same}: {holds_secrets(same)}"
    if facts.kind(value) == "directory":
        for name in dict.fromkeys((value, real)):
            inside = next((f"it holds {p}" for p in inside_home(name) if facts.kind(p)), "")
            reason = is_wide(name, facts.homes) or inside
            if reason:
                return reason
    return ""


#: Sockets of services that do what they are told, as root.
_RULERS = frozenset(
    ("docker.sock", "containerd.sock", "podman.sock", "crio.sock", "private", "system_bus_socket",
     "snapd.socket", "lxd.sock", "unix.socket", "io.systemd.Manager")
)  # fmt: skip


def _listening(facts: Facts, target: str) -> list[Row]:
    host, _, port = target.rpartition(":")
    if target.startswith("unix:"):
        folder = target.removeprefix("unix:").rpartition("/")[0] or "/"
        there = facts.kind(folder) == "directory"
        return [("bind", target, "" if there else "its directory is not there when a run starts")]
    if not port.isdigit():
        return [("bind", target, "abstract names cannot be listened on")]
    if host == "[::1]" or host.startswith("127."):
        return [("bind", target, "")]
    return [("bind", target, "say with accept-from who may connect")]


def address(facts: Facts, right: str, target: str) -> list[Row]:
    """Lines for a connection, a listener or a name that was looked up."""
    if right == "bind":
        return _listening(facts, target)
    if right == "resolve":
        return [("connect", f"{target}:*", "a name may be granted, with its port, for its address")]
    if target.startswith("unix:"):
        socket = target.removeprefix("unix:")
        if facts.kind(socket) != "other":
            return [("connect", target, "there is no such socket when a run starts")]
        ruler = socket.rpartition("/")[2] in _RULERS
        return [("connect", target, "who reaches it rules this machine" if ruler else "")]
    try:
        written = addresses.canonical(target, "/")
    except ValueError as error:
        return [("connect", target, str(error))]
    host = written[4:].rpartition(":")[0].strip("[]")
    secret = "the cloud's metadata service gives credentials" if host in METADATA else ""
    return [("connect", written.removeprefix("tcp:"), secret)]


def program(facts: Facts, target: str) -> tuple[list[Row], str, str]:
    """Lines for a program, why it needs none, and a remark on it."""
    file, problem = facts.program(target)
    if not file:
        return [], problem or "there is no such program", ""
    try:
        file.encode()
    except UnicodeEncodeError:
        problem = "its name is not UTF-8, which a policy cannot say"
    name = file.rpartition("/")[2]
    general = name in _CAN_DO_ANYTHING or name.startswith("python")
    return [("run", file, problem)], "", _INTERPRETER if general else ""


def module(facts: Facts, right: str, target: str) -> tuple[list[Row], str]:
    """Lines for a module outside the safe set, or for native code."""
    if right == "import":
        owner = UNSAFE_MODULES.get(target.partition(".")[0])
        if owner is None:  # the sandbox names what it refused: a distribution
            owner = target
        return [("import", owner, "")], ""
    distribution = facts.owner(target)
    if distribution == "":
        return [], "comes with the interpreter"
    if distribution is None:
        if not target.startswith("/"):
            return [], "the system's own library"
        return [("import", target, "native code of no distribution cannot be granted")], ""
    return [("import", distribution, "")], ""
