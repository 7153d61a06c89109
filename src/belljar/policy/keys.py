"""Every key of a policy, once. The parser, the flags of `belljar run`, the JSON schema and
`docs/policy.md` are made from this table; to add a key, add a row here and a field in `model`.
"""

from __future__ import annotations

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Key(Value):
    """One leaf key. `kind` chooses the parser; `choices` and `least` bound the value.

    Kinds: paths, programs, addresses, modules (grants, they append); names, rights, networks,
    devices, folders, sinks (lists, they append); env (a table, it merges); choice, bool, size,
    time, count, builtins, stream, place (single values, they replace).
    """

    section: str
    name: str
    kind: str
    help: str
    choices: tuple[str, ...] = ()
    least: int = 0

    @property
    def dotted(self) -> str:
        """`files.read`: how messages and `Policy.given` name the key."""
        return f"{self.section}.{self.name}"

    @property
    def field(self) -> str:
        """The field of `Policy` or `Limits` that holds it."""
        return self.name.replace("-", "_")


# fmt: off
KEYS: Final = (
    Key("files", "read", "paths", "files and directories the guest may read and list"),
    Key("files", "write", "paths", "where it may create, change, rename and delete"),
    Key("files", "append", "paths", "where it may create files and append to them, no more"),
    Key("files", "overlay", "folders", "directories whose changes wait for `belljar apply`"),
    Key("files", "names", "choice", "whether it sees names outside its grants",
        ("auto", "hidden", "visible")),
    Key("network", "connect", "addresses", "addresses it may connect to: host:port, CIDR:port"),
    Key("network", "bind", "addresses", "addresses it may listen on"),
    Key("network", "accept-from", "networks", "peers whose connections it may accept"),
    Key("network", "net-info", "bool", "show interfaces, routes, resolver and host name"),
    Key("modules", "import", "modules", "distributions it may import, with what they require"),
    Key("modules", "block", "names", "modules it may not import, whatever else is granted"),
    Key("modules", "extensions", "choice", "which C modules may be loaded",
        ("stdlib", "named", "all")),
    Key("modules", "bytecode", "bool", "load .pyc files from granted paths, make code by hand"),
    Key("modules", "builtins", "builtins", "which builtins it has: all, safe, bare or names",
        ("all", "safe", "bare")),
    Key("process", "run", "programs", "programs it may execute"),
    Key("process", "env", "env", "environment: NAME=VALUE, or NAME to pass the host's"),
    Key("process", "stdin", "stream", "its standard input, or a file", ("null", "inherit")),
    Key("process", "stdout", "stream", "its standard output, or a file", ("capture", "inherit")),
    Key("process", "stderr", "stream", "its standard error, or a file", ("capture", "inherit")),
    Key("process", "os-info", "bool", "show kernel name, version and platform"),
    Key("process", "devices", "devices", "devices beneath /dev that it may open"),
    Key("limits", "memory", "size", "memory, the interpreter included", least=16 << 20),
    Key("limits", "cpu", "time", "processor time"),
    Key("limits", "wall", "time", "time by the clock"),
    Key("limits", "processes", "count", "processes at a time", least=1),
    Key("limits", "threads", "count", "threads at a time", least=1),
    Key("limits", "connections", "count", "connections at a time"),
    Key("limits", "open-files", "count", "open files at a time", least=8),
    Key("limits", "output", "size", "output that is kept"),
    Key("limits", "disk", "size", "what it may write to disk"),
    Key("record", "ledger", "place", "the record: a directory or unix:SOCKET", ("auto", "none")),
    Key("record", "must-log", "rights", "rights whose events wait for the collector"),
    Key("record", "sync", "choice", "when the disk must have it: never, at a run's end, always",
        ("batch", "never", "always")),
    Key("record", "sinks", "sinks", "where the record goes besides: syslog+tcp://HOST:514, ..."),
    Key("enforce", "require", "names", "protections that must be full, or nothing starts"),
    Key("enforce", "accept-partial", "names", "protections that may be less than full"),
)
# fmt: on

BY_NAME: Final[dict[str, Key]] = {key.name: key for key in KEYS}
SECTIONS: Final[dict[str, tuple[str, ...]]] = {}
for _key in KEYS:
    SECTIONS[_key.section] = (*SECTIONS.get(_key.section, ()), _key.name)

#: Kinds whose key stands for a right, and so for grants.
GRANTING: Final = ("paths", "programs", "addresses", "modules")
#: Kinds that append when they are given again; the others replace.
LISTS: Final = (*GRANTING, "names", "rights", "networks", "devices", "folders", "sinks", "env")
#: What a `[[rule]]` may say.
RULE_KEYS: Final = ("match", "after", "then", "id", "text")
RULE_AFTER: Final = ("event", "target", "right", "package", "stack")
RULE_MATCH: Final = (*RULE_AFTER, "shadows")
RULE_THEN: Final = ("record", "alert", "deny", "kill")
#: What one entry of a `[protections.NAME]` table may be, besides a bool.
PROTECTION_SHAPES: Final = ("cap", "members", "value")
SCHEMA_VERSION: Final = 1
