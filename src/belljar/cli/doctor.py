"""`belljar doctor`: what this machine can enforce, tried anew.

Exit status: 0 when everything that must be full is full, 1 when not, 2 usage.
"""

from __future__ import annotations

import os
import sys

from belljar.confine.cache import cache_directory
from belljar.confine.keeper import STEPS
from belljar.confine.probe import TIERS, Facts, probe
from belljar.confine.status import MUST_BE_FULL, status
from belljar.confine.table import ATTEMPTS, COLUMNS, rows
from belljar.errors import BelljarError, Unenforceable
from belljar.model import Policy, Status

USAGE = """\
usage: belljar doctor [--json] [--tier root|user|landlock]

Builds a sandbox, tries every forbidden thing outside and then inside it, and shows what
came of it: the tier, each attempt, the protections of the default policy, the truth table of
all tiers (docs/protections.md has the reasons), and remedies.

options:
  --json       the same as one JSON object
  --tier TIER  try this tier, not the best one: root (namespaces as root), user (user
               namespaces), landlock (no namespaces)

Exit status: 0 when files, network, processes, syscalls, wall and output are full, else 1.
"""

#: Ubuntu's rule: user namespaces of programs without a profile have no capabilities.
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_TIERS = {
    "root": "namespaces as root, the guest under an unused user id",
    "user": "namespaces of an ordinary user",
    "landlock": "Landlock and seccomp only, no namespaces",
}


def main(argv: list[str]) -> int:
    """Run `belljar doctor` with `argv` (without the words `belljar doctor`); the exit status.

    >>> main(["--tier", "submarine"])
    2
    """
    as_json, tier, rest = False, None, list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            print(USAGE, end="")
            return 0
        if word == "--json":
            as_json = True
        elif name == "--tier" and (equals or rest):
            tier = value if equals else rest.pop(0)
        else:
            return _misused()
    if tier is not None and tier not in TIERS:
        return _misused()
    try:
        return _examine(as_json, tier)
    except BelljarError as error:
        return _nothing(error, as_json)
    except BrokenPipeError:
        # Whoever read has enough; the interpreter must not complain when it flushes again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _examine(as_json: bool, tier: str | None) -> int:
    facts = probe(None, tier)
    shown = "" if cache_directory() else "there is no cache directory of your own"
    receipt = status(Policy(), facts, shown=shown)
    missing = [name for name in MUST_BE_FULL if receipt.level(name) != "full"]
    why = reasons(facts, tier)
    if as_json:
        _print_json(facts, receipt, missing, why)
    else:
        for line in lines(facts, receipt, missing, why, _colour()):
            print(line)
    sys.stdout.flush()
    return 1 if missing else 0


def reasons(facts: Facts, asked: str | None) -> list[str]:
    """Why each better tier was not had: one line a tier."""
    if asked is not None:
        return [f"the best: --tier {asked} was asked for"]
    found = list(facts.why)
    named = {reason.partition(":")[0] for reason in found}
    better = TIERS[: TIERS.index(facts.tier)]
    root = os.geteuid() == 0
    if "root" in better and "root" not in named:
        found.insert(0, "root: " + ("without CAP_SYS_ADMIN" if root else "an ordinary user"))
    if "user" in better and "user" not in named and root:
        found.append("user: user 0 is never mapped into a sandbox")
    return found


def lines(
    facts: Facts, receipt: Status, missing: list[str], why: list[str], colour: bool
) -> list[str]:
    """What a person reads."""
    from belljar.report import receipt as receipts
    from belljar.report.text import paint, printable

    kernel = os.uname()
    page = [
        f"kernel    {kernel.sysname} {printable(kernel.release)} {kernel.machine}",
        f"tier      {facts.tier}: {_TIERS[facts.tier]}",
        *(f"          not {printable(reason)}" for reason in why),
        f"landlock  ABI {facts.abi}",
        "",
        f"{'attempt':<48}{'outside':<12}inside",
    ]
    for name, (outside, inside) in facts.tried.items():
        verdict = _verdict(outside, inside)
        text = paint(_error(inside), "red" if verdict else "green", colour)
        note = f"  {verdict}" if verdict else ""
        page.append(f"  {ATTEMPTS.get(name, name):<46}{_error(outside):<12}{text}{note}")
    if facts.ended_ms >= 0:
        page.append(f"  {'outlive the host (asleep, when told to end)':<58}{facts.ended_ms} ms")
    page += ["", "protections of the default policy", receipts.render(receipt, colour)]
    page += ["", *_table(facts, colour)]
    advice = remedies(facts, missing)
    if advice:
        page += ["", "remedies", *(f"  {line}" for line in advice)]
    last = f"not enough: {', '.join(missing)}" if missing else "all that must be full is full"
    return [*page, "", paint(last, "red" if missing else "green", colour)]


def _column(facts: Facts) -> str:
    """Which column of the truth table is this machine's."""
    if facts.tier == "landlock" and os.geteuid() == 0:
        return "container"
    return facts.tier


def _table(facts: Facts, colour: bool) -> list[str]:
    """What each tier gives; this machine's column has a star."""
    from belljar.report.text import paint

    shades = {"full": "green", "partial": "yellow", "none": "red"}
    here = _column(facts)
    names = [name + "*" * (name == here) for name, _, _ in COLUMNS]
    made = ["what each tier gives            " + "".join(f"{name:<11}" for name in names).rstrip()]
    for row in rows():
        cells = "".join(paint(f"{level:<11}", shades[level], colour) for level in row.levels)
        made.append(f"  {row.name:<30}{cells}".rstrip())
    return made


def remedies(facts: Facts, missing: list[str]) -> list[str]:
    """What would make this machine better, most useful first."""
    advice = []
    for reason in facts.why:
        step = reason.partition(": ")[2].partition(":")[0]
        if step in STEPS:
            advice.append(f"for tier {reason.partition(':')[0]}: {STEPS[step][1]}")
    if _told(_APPARMOR) == "1" and facts.tier == "landlock" and os.geteuid():
        advice.append("for tier user: install units/belljar-keeper.apparmor (docs/protections.md)")
    if _column(facts) == "container":
        advice.append("for hidden names and a limit of threads: start Belljar as an ordinary user, "
                      "where user namespaces are allowed")  # fmt: skip
    for name in missing:
        advice.append(f"{name}: fix the cause above, or run with --accept-partial {name}")
    return advice


def _told(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _verdict(outside: int, inside: int) -> str:
    if inside == 0:
        return "got through"
    return "proves nothing: it fails outside, too" if outside else ""


def _error(number: int) -> str:
    import errno

    return "works" if number == 0 else errno.errorcode.get(number, str(number))


def _nothing(error: BelljarError, as_json: bool) -> int:
    from belljar.report.text import printable

    remedy = error.remedy if isinstance(error, Unenforceable) else ""
    if as_json:
        import json

        print(json.dumps({"schema": 1, "ok": False, "error": str(error), "remedy": remedy}))
    else:
        print(f"no sandbox can be built here: {printable(str(error), 1000)}")
    return 1


def _print_json(facts: Facts, receipt: Status, missing: list[str], why: list[str]) -> None:
    import json

    from belljar.report import receipt as receipts

    kernel = os.uname()
    tried = {
        name: {"outside": _error(outside), "inside": _error(inside)}
        for name, (outside, inside) in facts.tried.items()
    }
    print(
        json.dumps(
            {
                "schema": 1,
                "ok": not missing,
                "kernel": kernel.release,
                "machine": kernel.machine,
                "why-no-better-tier": why,
                "landlock-abi": facts.abi,
                "attempts": tried,
                "end-ms": facts.ended_ms,
                **receipts.as_json(receipt),
                "column": _column(facts),
                "table": {row.name: list(row.levels) for row in rows()},
                "tiers": [name for name, _, _ in COLUMNS],
                "missing": missing,
                "remedies": remedies(facts, missing),
            }
        )
    )


def _misused() -> int:
    print(USAGE, end="", file=sys.stderr)
    return 2


def _colour() -> bool:
    from belljar.report.text import wants_colour

    return wants_colour(sys.stdout)
