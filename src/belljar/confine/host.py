"""The host as `belljar learn` sees it: what a run would be given without any grant, and what lies
where. What `belljar run` grants by itself is asked of its own planner, so that the two agree.
"""

from __future__ import annotations

import os

from belljar.confine import plan as planner
from belljar.confine import sensitive
from belljar.confine.born import born
from belljar.confine.program import Program
from belljar.confine.programs import locate
from belljar.confine.runtime import choose, describe
from belljar.errors import BelljarError, PolicyError
from belljar.events.paths import covers
from belljar.model import Grant, Policy
from belljar.policy.facts import Facts
from belljar.policy.secret import holds_secrets, inside_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

    from belljar.confine.runtime import Runtime

_SHARED: Final = "/dev/shm"
_DEEPEST: Final = 3
_MOST_SECRETS: Final = 5000


def facts(program: Program, since: int, own: tuple[str, ...]) -> tuple[Facts, str]:
    """The host for `program`, recorded from `since` (nanoseconds since 1970) on, and why it could
    not be planned, if so. `own` are directories of Belljar's.

    Raises `BelljarError` when its interpreter cannot be described.
    """
    runtime = describe(choose(program.python, program.cwd))
    problem = ""
    try:
        plan = _plan(runtime, program)
    except BelljarError as error:
        problem = str(error)
        plan = _plan(runtime, Program("code", "", (), program.cwd))
    folder = dict(plan.mapped).get("/box", program.cwd)
    private = tuple(dict.fromkeys(("/tmp", _SHARED, *_temporary())))
    grants = [g for g in plan.implicit if g.target not in (*private, "/box")]
    grants += [
        g.replace(target=folder + g.target[len("/box") :])
        for g in grants
        if g.target.startswith("/box/")
    ]
    given = Policy(grants=tuple(grants))
    home = os.path.abspath(os.path.expanduser("~"))
    found = Facts(
        given=given,
        real=real,
        kind=kind,
        new=lambda path: _since(born(path), since),
        changed=lambda path: _since(_written(path), since),
        owner=_owner(runtime, given),
        requires=_requires(runtime),
        program=_programs(runtime),
        private=private,
        obeyed=sensitive.NAMES,
        homes=tuple(dict.fromkeys((home, os.path.realpath(home)))) if home != "/" else (),
        own=tuple(os.path.realpath(path) for path in own),
        folder=folder,
        secret=_secrets(dict.fromkeys((home, os.path.realpath(home)))),
    )
    return found, problem


def _plan(runtime: Runtime, program: Program) -> planner.Plan:
    # nothing is made of it: the device stands for the channel and the page
    return planner.make(
        Policy(), runtime, program, "user", os.devnull, os.devnull, program.cwd, None
    )


def _temporary() -> tuple[str, ...]:
    named = os.environ.get("TMPDIR", "")
    return (os.path.abspath(named),) if named.startswith("/") else ()


def real(path: str) -> str:
    """Where links lead; what can be no path is left as it is."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return path


def _secrets(homes: Iterable[str]) -> Callable[[str], str]:
    """`Facts.secret`, for the files in those homes that hold secrets by their names."""
    known: dict[tuple[int, int], str] = {}

    def learn_all() -> None:
        rest = [(path, 0) for home in homes for path in inside_home(home) if holds_secrets(path)]
        for path, depth in rest:  # grows meanwhile
            try:
                stat = os.lstat(path)
                if stat.st_mode & 0o170000 == 0o040000 and depth < _DEEPEST:
                    inner = [(f"{path}/{name}", depth + 1) for name in os.listdir(path)]
                    rest += inner[: max(0, _MOST_SECRETS - len(rest))]
            except OSError:
                continue
            known[stat.st_dev, stat.st_ino] = path

    def secret(path: str) -> str:
        try:
            stat = os.stat(path)
        except (OSError, ValueError):
            return ""
        if stat.st_nlink < 2 or stat.st_mode & 0o170000 != 0o100000:
            return ""
        if not known:
            known[0, 0] = ""  # looked for, even where there is none
            learn_all()
        return known.get((stat.st_dev, stat.st_ino), "")

    return secret


def kind(path: str) -> str:
    """`file`, `directory`, `other`, or nothing where there is none that we can see."""
    if "\0" in path:
        return ""
    try:
        mode = os.stat(path).st_mode & 0o170000
    except (OSError, ValueError):
        return ""
    return {0o100000: "file", 0o040000: "directory"}.get(mode, "other")


def _since(time: int | None, since: int) -> bool | None:
    return None if time is None else time >= since


def _written(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return None


def _owner(runtime: Runtime, given: Policy) -> Callable[[str], str | None]:
    known: dict[str, str] = {}

    def owner(path: str) -> str | None:
        if not path.startswith("/"):
            return None
        place = real(path)
        site = next((s for s in runtime.site if covers(s, place)), None)
        if site is None:
            reads = (g.target for g in given.grants if g.right == "read")
            return "" if any(covers(target, place) for target in reads) else None
        if not known:
            from belljar.confine.distributions import owners

            known.update(owners(runtime))
        top = f"{site}/{place[len(site) + 1 :].partition('/')[0]}"
        return known.get(place) or known.get(top)

    return owner


def _requires(runtime: Runtime) -> Callable[[str], tuple[str, ...]]:
    known: dict[str, tuple[str, ...]] = {}

    def requires(name: str) -> tuple[str, ...]:
        if name not in known:
            from belljar.confine.distributions import brought

            known[name] = brought(name, runtime)
        return known[name]

    return requires


def _programs(runtime: Runtime) -> Callable[[str], tuple[str, str]]:
    def program(text: str) -> tuple[str, str]:
        try:
            where, place = locate(Grant("run", text, ""))
        except PolicyError as error:
            missing = "no such program" in error.message
            return ("", "is no program that could be started") if missing else (text, error.message)
        except ValueError:
            return "", "is no name that a program could have"
        except OSError as error:
            return text, f"cannot be read: {error.strerror}"
        if place == runtime.program:
            return place, ""  # inside, `sys.executable` is the binary itself
        return (text if "/" in text else where), ""

    return program
