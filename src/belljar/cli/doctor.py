"""`belljar doctor`: what this machine can enforce, tried anew.

Exit status: 0 when everything that must be full is full, 1 when not, 2 usage.
"""

from __future__ import annotations

import os
import sys

from belljar.confine.keeper import STEPS
from belljar.confine.probe import TIERS, Facts, probe
from belljar.confine.status import MUST_BE_FULL, status
from belljar.errors import BelljarError, Unenforceable
from belljar.model import Policy, Status

USAGE = """\
usage: belljar doctor [--json] [--tier root|user|landlock]

Builds a sandbox, tries every forbidden thing outside and then inside it, and shows what
came of it: the tier, each attempt, the protections of the default policy, and remedies.

options:
  --json       the same as one JSON object
  --tier TIER  try this tier, not the best one: root (namespaces as root), user (user
               namespaces), landlock (no namespaces)

Exit status: 0 when files, network, processes, syscalls, wall and output are full, else 1.
"""

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
    receipt = status(Policy(), facts)
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
    advice = remedies(facts, missing)
    if advice:
        page += ["", "remedies", *(f"  {line}" for line in advice)]
    last = f"not enough: {', '.join(missing)}" if missing else "all that must be full is full"
    return [*page, "", paint(last, "red" if missing else "green", colour)]


def remedies(facts: Facts, missing: list[str]) -> list[str]:
    """What would make this machine better, most useful first."""
    advice = []
    for reason in facts.why:
        step = reason.partition(": ")[2].partition(":")[0]
        if step in STEPS:
            advice.append(f"for tier {reason.partition(':')[0]}: {STEPS[step][1]}")
    for name in missing:
        advice.append(f"{name}: fix the cause above, or run with --accept-partial {name}")
    return advice


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
