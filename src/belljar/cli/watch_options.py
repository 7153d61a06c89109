"""The command line of `belljar watch`."""

from __future__ import annotations

from belljar.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

USAGE: Final = """\
usage: belljar watch [options] SCRIPT [ARGS...]
       belljar watch [options] -c CODE [ARGS...] | -m MODULE [ARGS...]
       belljar watch [options] -- COMMAND [ARGS...]

Run a program, restrict nothing, record everything it and its children do.

what is recorded:
  --events NAMES        only these events, with commas: open,socket.*
  --right RIGHTS        only events that need one of these rights: connect,run
  --stacks N            N frames of the stack with each event, 0 to 32 (0)
  --locals              their local variables, where they are simple
  --resolve             where a path leads to through symbolic links, at that moment
  --cross-check         compare with what the kernel saw
  --ledger DIR          where the record goes: a directory, auto or none (auto)
  --sync WHEN           the disk must have it: never, at its end (batch), always (batch)
  --sinks URL           the record goes there, too: syslog+tcp://HOST:514 (docs/sinks.md)
  --on-overflow WHAT    when Belljar cannot keep up: block, drop or exit (block)
  --must-log RIGHTS     these wait until the record has them, and are refused without
  --deadline TIME       how long they wait (5s)

rules:
  --rules FILE          rules of your own besides the shipped ones; none: not those either
  --fail-on WHAT        alert, finding: exit 123 where the program itself had succeeded

what is shown:
  --live                a view that is updated while the program runs
  --json                one event a line, as JSON, instead of the summary
  --quiet               print nothing
  --to FILE             the summary or JSON goes there (standard error)
  --python PATH         the interpreter for SCRIPT, -c and -m
"""
_FLAGS: Final = frozenset(("json", "quiet", "live", "locals", "resolve", "cross-check"))
_LISTS: Final = frozenset(("events", "right", "must-log", "fail-on", "rules", "sinks"))
_VALUES: Final = _LISTS | {"ledger", "sync", "python", "to", "stacks", "on-overflow", "deadline"}


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.json = self.quiet = self.live = False
        self.locals = self.resolve = self.cross_check = False
        self.ledger = "auto"
        self.sync = "batch"
        self.python: str | None = None
        self.to: str | None = None
        self.events: list[str] = []
        self.right: list[str] = []
        self.must_log: list[str] = []
        self.fail_on: list[str] = []
        self.rules: list[str] = []
        self.sinks: list[str] = []
        self.stacks = 0
        self.on_overflow = "block"
        self.deadline = 5.0
        self.command: list[str] = []
        self.is_python = True


def parse(argv: list[str]) -> Options:
    """Options and command of `argv`. Raises `UsageError`.

    >>> parse(["--quiet", "-c", "pass", "x"]).command
    ['-c', 'pass', 'x']
    """
    options, rest = Options(), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word == "--":
            options.command, options.is_python = rest, False
            break
        if word.startswith("--") and name in _FLAGS and not equals:
            setattr(options, name.replace("-", "_"), True)
        elif word.startswith("--") and name in _VALUES:
            if not equals:
                if not rest:
                    raise UsageError(f"--{name} needs a value")
                value = rest.pop(0)
            _set(options, name, value)
        elif word in ("-c", "-m"):
            if not rest:
                raise UsageError(f"{word} needs a value")
            options.command = [word, *rest]
            break
        elif word.startswith("-") and word != "-":
            raise UsageError(f"unknown option {word}{_near(name)}")
        else:
            options.command = [word, *rest]
            break
    _check(options)
    return options


def _near(name: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, sorted(_FLAGS | _VALUES), 1)
    return f"; near: --{found[0]}" if found else ""


def _set(options: Options, name: str, value: str) -> None:
    field = name.replace("-", "_")
    if name in _LISTS:
        words = (
            [value] if name in ("rules", "sinks") else [word.strip() for word in value.split(",")]
        )
        if not all(words):
            raise UsageError(f"--{name} has an empty entry: {value!r}")
        getattr(options, field).extend(words)
    elif name == "stacks":
        if not (value.isascii() and value.isdigit() and len(value) < 3 and int(value) <= 32):
            raise UsageError(f"--stacks takes a number from 0 to 32, not {value!r}")
        options.stacks = int(value)
    elif name == "deadline":
        from belljar.policy.units import parse_time

        try:
            options.deadline = parse_time(value)
        except ValueError as error:
            raise UsageError(f"--deadline: {error}") from None
        if options.deadline > 86400:
            raise UsageError("--deadline: at most a day")
    else:
        setattr(options, field, value)


def _check(options: Options) -> None:
    """Raises `UsageError` for what does not go together."""
    for name, values, known in (
        ("on-overflow", [options.on_overflow], ("block", "drop", "exit")),
        ("sync", [options.sync], ("never", "batch", "always")),
        ("fail-on", options.fail_on, ("alert", "finding")),
    ):
        for value in values:
            if value not in known:
                raise UsageError(f"--{name} takes {', '.join(known)}, not {value!r}")
    if options.must_log or options.right:
        from belljar.watch.selection import check_right

        for right in (*options.must_log, *options.right):
            check_right(right)
    if options.must_log and options.ledger == "none":
        raise UsageError("--must-log needs a record: --ledger none keeps none")
    if options.sinks and options.ledger == "none":
        raise UsageError("--sinks are fed from the record: --ledger none keeps none")
    if options.sinks and options.ledger.startswith("unix:"):
        raise UsageError("--sinks: a collector has its own; register them for its ledger")
    if options.resolve and options.cross_check:
        raise UsageError("--resolve makes calls of its own: not together with --cross-check")
    if options.live and options.quiet:
        raise UsageError("--live and --quiet do not go together")
    if options.quiet and options.to is not None:
        raise UsageError("--quiet writes nothing: not together with --to")
    if options.live and options.json and options.to is None:
        raise UsageError("--live and --json need --to FILE for the JSON")
    if options.locals:
        options.stacks = options.stacks or 1
    if not options.command:
        raise UsageError("nothing to run: give SCRIPT, -c, -m or -- COMMAND")
