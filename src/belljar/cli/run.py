"""`belljar run`: a program under a policy, recorded.

The parser is by hand and from the policy's own table of keys: `argparse` alone would cost more
than building the walls does.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import PolicyError, UsageError
from belljar.model import Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.model import Status
    from belljar.sandbox.result import Denial, Result

_MOST_SHOWN = 20
_MOST_POLICY = 1 << 20
_OURS = ("policy", "python", "fail-on", "result", "name")
_SWITCHES = ("quiet", "receipt", "no-policy")
FAILED_ON = 123


class Options:
    """What the command line says."""

    def __init__(self) -> None:
        self.flags: list[tuple[str, str]] = []
        self.values: dict[str, str] = {}
        self.switches: set[str] = set()
        self.kind = ""
        self.target = ""
        self.args: tuple[str, ...] = ()


def main(argv: list[str]) -> int:
    """Run `belljar run` with `argv`; the exit status of DESIGN.md's table."""
    if argv and argv[0] in ("--help", "-h"):
        print(usage())
        return 0
    options = parse(argv)
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        raise UsageError("run: the working directory does not exist any more") from None
    path = options.values.get("policy")
    if path is None and "no-policy" not in options.switches:
        path = _project_policy(cwd)
    policy = _policy(path, options, cwd)
    fail_on = _fail_on(options)

    from belljar.confine import available
    from belljar.confine.program import Program
    from belljar.sandbox.run import Session

    available.check(policy)
    protect = (os.path.realpath(path),) if path else ()
    python = options.values.get("python")
    name = _guest_name(options)
    program = Program(options.kind, options.target, options.args, cwd, protect, python, name)
    shown = _Shown(name, "quiet" in options.switches)
    session = Session(policy, program, shown.tell, progress=shown.progress)
    _on_signals(session.interrupt)
    place = _result_place(options.values.get("result"))
    result = session.run()
    shown.end(result, policy, "receipt" in options.switches)
    if place is not None:
        _write_result(place, result)
    if ("denial" in fail_on and result.denials) or ("alert" in fail_on and result.alerts):
        return result.status or FAILED_ON
    return result.status


def parse(argv: list[str]) -> Options:
    """Understand `argv`. Raises `UsageError` with exit status 2."""
    options = Options()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-c", "-m"):
            if not rest:
                raise _usage_error(f"{word} needs an argument")
            options.kind = "code" if word == "-c" else "module"
            options.target = rest.pop(0)
            break
        if word == "--":
            if rest:
                options.kind, options.target = "script", rest.pop(0)
            break
        if not word.startswith("-") or word == "-":
            options.kind, options.target = "script", word
            break
        from belljar.policy.keys import BY_NAME

        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or (name not in BY_NAME and name not in _OURS + _SWITCHES):
            raise _usage_error(f"no option {word.partition('=')[0]}{_nearest(name)}")
        if name in _SWITCHES:
            if equals:
                raise _usage_error(f"--{name} takes no value")
            options.switches.add(name)
            continue
        if name in BY_NAME and BY_NAME[name].kind == "bool":
            options.flags.append((name, value if equals else ""))
            continue
        if not equals:
            if not rest:
                raise _usage_error(f"--{name} needs a value")
            value = rest.pop(0)
        if name in _OURS:
            options.values[name] = value
        else:
            options.flags.append((name, value))
    if not options.kind:
        raise _usage_error("what to run? give SCRIPT, -c CODE or -m MODULE")
    if {"quiet", "receipt"} <= options.switches:
        raise _usage_error("--quiet and --receipt contradict each other")
    options.args = tuple(rest)
    return options


def _usage_error(text: str) -> UsageError:
    return UsageError(f"run: {text}; see belljar run --help")


def _nearest(name: str) -> str:
    from belljar.policy.file import nearest
    from belljar.policy.keys import BY_NAME

    return nearest(name, [*BY_NAME, *_OURS, *_SWITCHES])


def _policy(path: str | None, options: Options, cwd: str) -> Policy:
    policy = Policy()
    if path is not None:
        from belljar.policy import load

        policy = load(path)
    if options.flags:
        from belljar.policy import from_flags

        policy = from_flags(policy, options.flags, cwd)
    return policy.with_programs()


def _project_policy(cwd: str) -> str | None:
    """`pyproject.toml` of the working directory, where it has a `[tool.belljar]`.

    It is found, not named, so nothing in the directory is trusted: not to be a file, to be
    small, or to be its owner's.
    """
    path = os.path.join(cwd, "pyproject.toml")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb") as file:
            if not os.fstat(file.fileno()).st_mode & 0o170000 == 0o100000:
                raise PolicyError("pyproject.toml", "is not a file; or give --no-policy")
            found = b"[tool.belljar" in file.read(_MOST_POLICY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyError("pyproject.toml", f"{error.strerror}; or give --no-policy") from error
    if not found:
        return None
    from belljar.confine.cache import cache_directory
    from belljar.confine.distrust import distrust

    distrust(cache_directory(), path, "name it with --policy, or give --no-policy")
    return "pyproject.toml"


def _fail_on(options: Options) -> set[str]:
    text = options.values.get("fail-on", "")
    names = {name for name in text.split(",") if name}
    if names - {"denial", "alert"} or (text == "" and "fail-on" in options.values):
        raise _usage_error("--fail-on takes denial, alert, or both with a comma")
    return names


def _guest_name(options: Options) -> str:
    if "name" in options.values:
        return options.values["name"]
    if options.kind == "code":
        return "-c"
    name = os.path.basename(options.target) if options.kind == "script" else options.target
    return name.removesuffix(".py")


def _on_signals(act: Callable[[], None]) -> None:
    """INT, TERM and HUP end the guest in order, so that the record gets its last entry."""
    import _signal

    def handle(_number: int, _frame: object) -> None:
        act()

    for number in (1, 2, 15):
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, handle)


class _Shown:
    """What a person sees on standard error while it runs and at the end."""

    def __init__(self, guest: str, quiet: bool) -> None:
        self._guest = guest
        self._quiet = quiet
        self._count = 0

    def progress(self, line: str) -> None:
        if not self._quiet and sys.stderr.isatty():  # for who waits, not for a log
            from belljar.report.text import printable

            sys.stderr.write(f"belljar: {printable(line, 1000)}\n")
            sys.stderr.flush()

    def tell(self, denial: Denial, receipt: Status) -> None:
        self._count += 1
        if self._quiet or self._count > _MOST_SHOWN:
            return
        from belljar.report import denial as text
        from belljar.report.text import say, wants_colour

        colour = wants_colour(sys.stderr)
        render = text.render if denial.kind == "denial" else text.render_alert
        say(
            render(
                self._guest,
                denial.event,
                denial.decision,
                denial.right,
                denial.target,
                denial.number,
                receipt,
                colour,
            )
        )

    def end(self, result: Result, policy: Policy, full: bool) -> None:
        if not (
            full
            or self._count
            or result.planted
            or result.waiting
            or result.missed
            or result.unkept
            or result.ended_by != "exit"
        ):
            return
        from belljar.report.text import many, say

        if self._count > _MOST_SHOWN and not self._quiet:
            from belljar.report.text import printable

            where = f"; all are in the record {printable(result.ledger)}" if result.ledger else ""
            say(f"belljar: {self._count - _MOST_SHOWN} more denials and alerts{where}")
        limits = {
            "wall": f"wall clock: over {policy.limits.wall:g}s (--wall)",
            "cpu": f"processor time: over {policy.limits.cpu:g}s (--cpu)",
            "output": f"output: over {policy.limits.output} bytes (--output)",
            "memory": f"memory: over {policy.limits.memory} bytes (--memory)",
            "disk": f"what it appended: over {policy.limits.disk} bytes (--disk), or no room",
            "interrupt": "an interrupt",
            "lost": "someone outside, who killed the sandbox while the program ran",
        }
        if result.ended_by in limits and not self._quiet:
            say(f"belljar: ended by {limits[result.ended_by]}")
        if result.ended_by == "signal" and not self._quiet:
            say(f"belljar: the program was ended by signal {result.signal}")
        if result.missed and not self._quiet:
            flaws = many(result.missed, "flaw")
            say(f"belljar: the record has {flaws}: events lost or malformed")
        if result.unkept and not self._quiet:
            events = many(result.unkept, "event")
            say(f"belljar: the record is full: {events} counted and not kept")
        if result.planted and not self._quiet:
            _tell_planted(result.planted)
        for directory, name in () if self._quiet else result.waiting:
            from belljar.report.text import printable

            say(f"belljar: changes beneath {printable(directory)} wait: belljar apply {name}")
        if full:
            from belljar.report import receipt
            from belljar.report.text import wants_colour

            say(receipt.render(result.receipt, wants_colour(sys.stderr)))
            if result.ledger:
                from belljar.report.text import printable

                where, which = printable(result.ledger), result.run_id[:8]
                say(f"record: {where} run {which}, {many(result.usage.events, 'event')}")


def _tell_planted(paths: tuple[str, ...]) -> None:
    from belljar.report.text import printable, say

    for path in paths[:_MOST_SHOWN]:
        say(f"belljar: the guest wrote {printable(path)}, which is obeyed or executed outside")
    if len(paths) > _MOST_SHOWN:
        say(f"belljar: and {len(paths) - _MOST_SHOWN} more such files; --result lists them")


def _result_place(path: str | None) -> tuple[int, str] | None:
    """The directory, opened before the guest can exchange it for another, and the name in it."""
    if path is None:
        return None
    folder, name = os.path.split(path)
    try:
        return os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), name
    except OSError as error:
        raise PolicyError("--result", f"{path}: {error.strerror}") from error


def _write_result(place: tuple[int, str], result: Result) -> None:
    from belljar.report.result import as_json

    folder, name = place
    # the guest may be able to write there: a name it cannot guess, and never through a link
    temporary = f"{name}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o644, dir_fd=folder), "w", encoding="utf-8") as file:
            file.write(as_json(result) + "\n")
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        raise PolicyError("--result", f"{name}: {error.strerror}") from error


def usage() -> str:
    """The help text, from the policy's table of keys."""
    from belljar.confine.available import NOT_YET
    from belljar.policy.keys import KEYS

    lines = [
        "belljar run [GRANTS] SCRIPT [ARGS]",
        "belljar run [GRANTS] -c CODE [ARGS] | -m MODULE [ARGS]",
        "",
        "Without grants the program may read its own code and libraries, write to a private",
        "temporary directory, and nothing else: no files, no network, no programs.",
        "",
        "  --policy FILE          a policy file (else [tool.belljar] of ./pyproject.toml)",
        "  --no-policy            do not look at pyproject.toml",
        "  --python PATH          the interpreter or virtual environment to run on",
        "  --receipt              show what enforced each protection",
        "  --result FILE          write how it ended, as JSON",
        "  --fail-on WHAT         denial, alert: exit 123 where the program itself had succeeded",
        "  --name NAME            what denials call the guest",
        "  --quiet                no denials and no findings on standard error",
        "",
        "Sizes: 256M, 1GiB. Times: 500ms, 5s, 2m. Streams: a word or a path.",
    ]
    if NOT_YET:
        lines.append("(not yet) refuses to start: no wall enforces it in this version.")
    section = ""
    for key in KEYS:
        if key.section != section:
            section = key.section
            lines += ["", f"[{section}]"]
        choices = "|".join(key.choices)
        value = "" if key.kind == "bool" else f" {choices or 'VALUE'}"
        flag = f"--{key.name}{value}"
        if len(flag) > 24:
            lines.append(f"  {flag}")
            flag = ""
        later = " (not yet)" if key.name in NOT_YET else ""
        lines.append(f"  {flag:<24} {key.help}{later}")
    return "\n".join(lines)
