"""The frozen values every room speaks: events, grants, policies, decisions, receipts.

This module imports nothing of ours, and nothing slow: `belljar run` pays for every import
before the guest starts (`typing` alone costs as long as a confined process), so `Value` below
does the little of `dataclasses` that is needed here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, Self, dataclass_transform
else:

    def dataclass_transform(**_options: object) -> object:
        return lambda cls: cls


@dataclass_transform(kw_only_default=False, frozen_default=True)
class Value:
    """Base of all values: fields from annotations, compared by value, never changed.

    Raises `TypeError` for a missing or unknown field, `AttributeError` on assignment.

    >>> Limits(cpu=5.0).cpu
    5.0
    """

    __fields__: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        own = tuple(n for n in cls.__annotations__ if not n.startswith("__"))
        cls.__fields__ = own

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        fields = cls.__fields__
        if len(args) > len(fields):
            raise TypeError(f"{cls.__name__} takes {len(fields)} fields, got {len(args)}")
        values = self.__dict__
        for name, value in zip(fields, args, strict=False):
            values[name] = value
        for name, value in kwargs.items():
            if name not in fields or name in values:
                raise TypeError(f"{cls.__name__}: unknown or repeated field {name!r}")
            values[name] = value
        for name in fields[len(args) :]:
            if name not in values:
                if name not in cls.__dict__:
                    raise TypeError(f"{cls.__name__}: missing field {name!r}")
                values[name] = cls.__dict__[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[n] for n in self.__fields__)))

    def __repr__(self) -> str:
        inside = ", ".join(f"{n}={self.__dict__[n]!r}" for n in self.__fields__)
        return f"{type(self).__name__}({inside})"

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})


#: The rights of DESIGN.md. A grant is one of these on a target.
RIGHTS: Final = (
    "read", "write", "append", "list", "execute", "connect", "bind", "resolve", "run", "import",
    "native", "env", "netinfo", "fsinfo", "code", "signal", "process",
)  # fmt: skip


class Frame(Value):
    """Where in the guest's source an event was raised. Text from the guest: escape it.

    `values` are local variables of simple types, by name, where they were asked for.
    """

    file: str
    line: int
    function: str
    values: tuple[tuple[str, Any], ...] = ()


class Event(Value):
    """One thing the runtime is about to do.

    `seq` counts per process from 1; `time` is nanoseconds since 1970 by the guest's clock;
    `asked` is the target as the code named it, `target` what that means (an absolute path, an
    `address:port`, a module, a program) or None when the event does not tell. `stack` holds the
    one frame that answers for the event, `frames` the whole stack, innermost first, where it was
    asked for; `package` is the distribution that caused it, filled in by the watching side.
    """

    seq: int
    time: int
    pid: int
    thread: int
    name: str
    args: tuple[Any, ...]
    right: str | None = None
    target: str | None = None
    asked: str | None = None
    stack: tuple[Frame, ...] = ()
    cwd: str | None = None
    refused: bool = False  # the window inside the guest already raised
    frames: tuple[Frame, ...] = ()
    package: str | None = None


class Grant(Value):
    """A right on a target. `target` is what the guest names, `source` what the host names.

    They differ only for mapped grants (`read = {"/in" = "data/"}`). `origin` is where the grant
    was written: `policy.toml:7`, `--read`, `default`, `runtime`. `directory` says that `append` was
    written with a slash at its end.
    """

    right: str
    target: str
    origin: str
    source: str = ""
    optional: bool = False
    directory: bool = False


class Limits(Value):
    """Resource limits: bytes, seconds, counts."""

    memory: int = 1 << 30
    cpu: float = 60.0
    wall: float = 60.0
    processes: int = 1
    threads: int = 32
    connections: int = 16
    open_files: int = 64
    output: int = 16 << 20
    disk: int = 64 << 20


class Rule(Value):
    """A `[[rule]]`: glob patterns that must all match, and what follows.

    A tuple of patterns means any of them, and none of those that `!` stands before. `package` is
    compared with the distribution that caused the event, `stack` with every known frame as
    `file:function`, `shadows` with the standard module that the event's file stands in front of.
    `after` is what the process must have done before (a rule of which only the patterns count).
    `id` names a shipped rule, `origin` is where it was written.
    """

    event: str | tuple[str, ...] = "*"
    target: str | tuple[str, ...] = "*"
    right: str | tuple[str, ...] = "*"
    then: str = "record"
    origin: str = ""
    package: str | tuple[str, ...] = "*"
    stack: str | tuple[str, ...] = "*"
    id: str = ""
    text: str = ""  # one line for a person: what it means when this fires
    shadows: str | tuple[str, ...] = ""  # "": that does not matter
    after: Rule | None = None


class Policy(Value):
    """Everything a guest may do, as written: paths made absolute, nothing looked up yet.

    Made of its fields, or of the keys of a policy file as keywords (`-` is `_`, and `import` is
    `import_`): then values are lists, numbers and texts as such a file has them, and relative
    paths are relative to the working directory. Raises `PolicyError` for what a file could not say
    either. `given` maps a dotted key (`limits.cpu`) that someone wrote to where it was written.

    >>> Policy(read=["data/"], memory="256M").limits.memory  # doctest: +SKIP
    268435456
    """

    grants: tuple[Grant, ...] = ()
    limits: Limits = Limits()
    names: str = "auto"
    overlay: tuple[str, ...] = ()
    net_info: bool = False
    block: tuple[str, ...] = ()
    extensions: str = "stdlib"
    bytecode: bool = False
    builtins: str | tuple[str, ...] = "all"
    env: tuple[tuple[str, str | bool], ...] = ()
    stdin: str = "null"
    stdout: str = "capture"
    stderr: str = "capture"
    os_info: bool = False
    devices: tuple[str, ...] = ()
    accept_from: tuple[str, ...] = ()
    ledger: str = "auto"
    must_log: tuple[str, ...] = ("run", "connect", "native")
    sync: str = "batch"
    sinks: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    protections: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    accept_partial: tuple[str, ...] = ()
    given: tuple[tuple[str, str], ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fields = self.__fields__
        for name, value in kwargs.items():
            if name not in fields or type(value) in (list, dict):
                made = _policy_room("keywords").from_keywords(type(self)(*args), kwargs)
                self.__dict__.update(made.__dict__)
                return
        super().__init__(*args, **kwargs)

    @staticmethod
    def load(path: object) -> Policy:
        """The policy in a TOML file, or in the `[tool.belljar]` of a `pyproject.toml`. Raises
        `PolicyError` with the place of what is wrong.

        >>> Policy.load("policy.toml")  # doctest: +SKIP
        Policy(grants=(...), ...)
        """
        loaded: Policy = _policy_room("file").load(path)
        return loaded

    def with_programs(self) -> Policy:
        """The same, with room for a granted program's process where nobody gave a number: one that
        may be executed and cannot be started would be no grant."""
        runs = any(grant.right == "run" for grant in self.grants)
        if runs and self.origin("limits.processes") == "default":
            return self.replace(limits=self.limits.replace(processes=16))
        return self

    def origin(self, key: str) -> str:
        """Where `key` (dotted) was written, or `default`."""
        return dict(self.given).get(key, "default")


def _policy_room(name: str) -> Any:
    return __import__(f"belljar.policy.{name}", fromlist=[name])  # what makes policies is there


class Decision(Value):
    """What the policy says of one event.

    `verdict` is `allow`, `deny` or `none` (the event needs no right, or does not tell its
    target, so only the wall decides). `because` is a clause for a person; `grant` decided or,
    on a denial, is the nearest grant; `remedy` is the narrowest flag that would allow it and
    stays empty where a rule or block forbids it; `rule` is the rule that fired, if any.
    """

    verdict: str
    because: str
    grant: Grant | None = None
    remedy: str = ""
    rule: Rule | None = None


class Protection(Value):
    """One row of a receipt: what is protected, how far, by what, and why not further."""

    name: str
    level: str  # full | partial | none
    by: str
    reason: str = ""


class Status(Value):
    """The receipt: every protection, as probed on this machine for this sandbox."""

    tier: str
    protections: tuple[Protection, ...]
    probed: str = ""

    def level(self, name: str) -> str:
        """`full`, `partial` or `none`; unknown names are `none`."""
        for row in self.protections:
            if row.name == name:
                return row.level
        return "none"
