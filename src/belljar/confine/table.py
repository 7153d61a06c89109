"""The truth table: every protection in words, and its level on each tier.

The words are declared here, once; the levels and reasons come from `status`, asked with what a
machine answers when all is well. `docs/protections.md` is made of both by
`tools/protections_page.py`, and `belljar doctor` shows them for this machine.
"""

from __future__ import annotations

from belljar.confine.probe import Facts
from belljar.confine.status import NAMES, status
from belljar.model import Grant, Policy, Rule, Value

#: What each attempt of the probe is, in the words of a person.
ATTEMPTS = {
    "read": "open a file of the host for reading",
    "write": "open a file of the host for writing",
    "create": "create a file",
    "delete": "delete a file",
    "list": "list a directory",
    "name": "learn that a file exists",
    "chmod": "change the mode of a file",
    "tcp": "connect to 127.0.0.1",
    "udp": "send a datagram to 127.0.0.1",
    "unix": "connect to a Unix socket in the file system",
    "netlink": "open a netlink socket",
    "fork": "start a process",
    "exec": "execute another program",
    "signal": "signal a process outside",
    "memfd": "make memory that no limit counts",
    "memory": "map more memory than the limit",
    "native": "map a foreign file as code",
    "descriptors": "open more files than the limit",
    "privileges": "gain privileges by executing",
    "ptrace": "trace a process",
    "namespace": "make a namespace of its own",
    "threads": "start more threads than the limit",
    "cpu": "have the limit of processor time raised",
    "filesize": "write a longer file than the limit",
    "disk": "write more than the private directory holds",
}

#: The columns: what the documents call the tier, what the receipt calls it, and who has it.
COLUMNS = (
    ("root", "root", "root, with namespaces"),
    ("user", "user", "an ordinary user, with user namespaces"),
    ("landlock", "landlock", "an ordinary user, without them"),
    ("container", "landlock", "user 0 without `CAP_SYS_ADMIN`, under a container's filter"),
)


class Said(Value):
    """What a protection is for, what enforces it, and what only tells of it."""

    protects: str
    wall: str
    window: str


SAID = {
    "files": Said(
        "reading, writing, listing, creating, deleting, changing modes outside the grants",
        "a new root with only the runtime and the grants; read-only, nosuid, nodev, noexec "
        "mounts; Landlock, every right of the kernel's ABI; seccomp",
        "audit hook: `FileNotFoundError` for what is not granted, `PermissionError` for a "
        "missing right",
    ),
    "network": Said(
        "connecting, sending, listening, Unix sockets, netlink",
        "an empty network namespace; seccomp; Landlock where it knows TCP; granted "
        "connections, listeners and datagrams are the keeper's",
        "audit events: denials with address and line",
    ),
    "processes": Said(
        "starting programs or processes, signalling others",
        "seccomp, a PID namespace, Landlock's execute right for granted programs",
        "audit events",
    ),
    "syscalls": Said(
        "the rest of the kernel's surface",
        "a seccomp allow-list; no_new_privs; no capability in any set",
        "none",
    ),
    "wall": Said(
        "time by the clock",
        "the host ends the sandbox; nothing in it survives the end of its init",
        "none",
    ),
    "output": Said(
        "floods on standard output and error",
        "the host counts what it passes on, and ends the guest",
        "none",
    ),
    "names": Said(
        "whether a file or directory exists, and what it is called; where the interpreter, its "
        "library and its environment lie",
        "a new root, no procfs; the runtime is an image at `/python`, without the host's paths in "
        "its files",
        "audit hook",
    ),
    "memory": Said(
        "the memory of the guest",
        "RLIMIT_DATA, RLIMIT_AS; no memfd, no huge or growing-down mappings",
        "none",
    ),
    "cpu": Said(
        "processor time",
        "RLIMIT_CPU",
        "none",
    ),
    "threads": Said(
        "the number of threads",
        "RLIMIT_NPROC of a user namespace",
        "none",
    ),
    "open-files": Said(
        "the number of open files",
        "RLIMIT_NOFILE",
        "none",
    ),
    "disk": Said(
        "what is written to disk",
        "the size of the private temporary directory; RLIMIT_FSIZE",
        "none",
    ),
    "extensions": Said(
        "C modules outside the safe set",
        "noexec mounts; unsafe modules of the standard library are covered by an empty file "
        "(`_ctypes` is not when a distribution is granted: it may need it, and the guard asks "
        "who imports)",
        "import guard: names the grant",
    ),
    "block": Said(
        "modules that the policy blocks, for all who import",
        "their files are covered by empty ones; stated where `block` is given",
        "import guard",
    ),
    "bytecode": Said(
        "compiled `.pyc` files that are not what their source says, code made by hand",
        "none",
        "import guard: `.pyc` files count only in the runtime; audit hook: `code.replace`, "
        "`marshal.loads` and `types.FunctionType` are the runtime's alone",
    ),
    "builtins": Said(
        "the built-ins that the policy does not give",
        "none; stated where `builtins` is given",
        "the guest's own modules are made without them",
    ),
    "connections": Said(
        "the number of connections at a time, made and accepted",
        "the keeper makes, accepts and counts them; stated where some are granted",
        "none",
    ),
    "net-info": Said(
        "the host's name, interfaces, routes and resolver",
        "namespaces with a name and interfaces of their own; no netlink, no interface requests",
        "neutral files",
    ),
    "os-info": Said(
        "the kernel's version, CPU and memory facts",
        "none",
        "`os.uname`, `platform`, `os.cpu_count`, `os.sysconf` give neutral answers",
    ),
    "rules": Said(
        "that what a rule with `deny` or `kill` forbids does not happen",
        "the process asks before it acts; stated where such rules are",
        "native audit hook",
    ),
    "overlay": Said(
        "the host's files beneath an `--overlay`, until `belljar apply --merge`",
        "overlayfs in the guest's mount namespace; its layers leave the view",
        "none",
    ),
    "record": Said(
        "that all the guest does in Python is recorded",
        "events leave the process by a FIFO before the operation proceeds",
        "native audit hook",
    ),
}
#: What gets through by design where there are no namespaces.
_OPEN = ("name", "threads", "disk")
_FEWER = Policy(block=("socket",), builtins="safe")
_CONNECT = Policy(grants=(Grant("connect", "tcp:127.0.0.1:80", "--connect"),))
_OVERLAY = Policy(overlay=("/srv",))
_DENY = Policy(rules=(Rule(then="deny"),))


class Row(Value):
    """One protection: its words, the level for each of `COLUMNS`, why it is not full."""

    name: str
    said: Said
    levels: tuple[str, ...]
    why: str


def usual(tier: str) -> Facts:
    """What a machine answers when all is well, as seen on Linux 6.18 without a cgroup.

    >>> usual("landlock").refused("tcp"), usual("landlock").refused("name")
    (True, False)
    """
    tried = dict.fromkeys(ATTEMPTS, (0, 13))
    if tier == "landlock":
        tried |= dict.fromkeys(_OPEN, (0, 0))
    return Facts(tier, 7, tried, (), 5)


def rows() -> tuple[Row, ...]:
    """Every protection in the order of `NAMES`; one that needs a grant or a rule, with it."""
    return tuple(_row(name) for name in NAMES)


def _row(name: str) -> Row:
    levels: list[str] = []
    reasons: dict[str, list[str]] = {}
    for column, tier, _ in COLUMNS:
        found = next(
            row
            for policy in (Policy(), _FEWER, _CONNECT, _DENY, _OVERLAY)
            for row in status(policy, usual(tier)).protections
            if row.name == name
        )
        levels.append(found.level)
        if found.level != "full":
            reasons.setdefault(found.reason, []).append(column)
    return Row(name, SAID[name], tuple(levels), _why(reasons, levels.count("full") == 0))


def _why(reasons: dict[str, list[str]], everywhere: bool) -> str:
    """One reason as it is; of several, each with the tiers that it is about."""
    if len(reasons) == 1 and everywhere:
        return next(iter(reasons))
    return "; ".join(f"{', '.join(columns)}: {why}" for why, columns in reasons.items())
