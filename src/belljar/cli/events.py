"""`belljar events [NAME]`: the catalogue of audit events.

Exit status: 0 shown, 1 no such event, 2 usage.
"""

from __future__ import annotations

import sys

from belljar.events import table
from belljar.events.table import CATEGORIES, VERSIONS
from belljar.report import catalogue as show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USAGE = """\
usage: belljar events               every audit event, by category: name, right it needs, arguments
       belljar events NAME          all that is known of one event
       belljar events --silences    what happens without an event, and what sees or stops it
       belljar events --pep578      what PEP 578 promised, and what became of it
options: --version 3.12   only what that version of CPython does
         --json           for programs; the form is documented in docs/catalogue.md
"""


def main(argv: list[str]) -> int:
    """Run `belljar events` with `argv` (without the words `belljar events`); the exit status.

    >>> main(["os.kill"])
    event      os.kill
    category   process
    arguments  pid: int
               sig: int
    right      signal on pid
    versions   all
    platforms  linux, macos, windows
    note       pidfd_send_signal raises nothing
    silent     pidfd-signal: signal.pidfd_send_signal, os.pidfd_open
    silent     end-itself: signal.raise_signal, os.abort, os._exit
    0
    """
    if argv[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    options = _parse(argv)
    if options is None:
        print(USAGE, end="", file=sys.stderr)
        return 2
    version = options["version"]
    if version is not None and version not in VERSIONS:
        from belljar.report.text import printable

        known = ", ".join(VERSIONS)
        told = printable(version)
        print(f"belljar: no version {told!r} in the catalogue: {known}", file=sys.stderr)
        return 2
    if options["name"] is not None:
        return _one(options["name"], version, bool(options["json"]))
    if options["--silences"]:
        found: Any = {"silences": [show.plain(s) for s in table.silences(version)]}
        text = show.silent(table.silences(version))
    elif options["--pep578"]:
        found = {"pep578": [show.plain(line) for line in table.pep578()]}
        text = show.pep578(table.pep578())
    else:
        found = {"events": [show.plain(e) for e in table.entries(version)]}
        text = show.events(table.entries(version), CATEGORIES, version)
    print(_json(version, found) if options["json"] else text)
    return 0


def _parse(argv: list[str]) -> dict[str, Any] | None:
    options: dict[str, Any] = {
        "name": None, "version": None, "json": False, "--silences": False, "--pep578": False,
    }  # fmt: skip
    words = iter(argv)
    for word in words:
        if word == "--json":
            options["json"] = True
        elif word in ("--silences", "--pep578"):
            options[word] = True
        elif word == "--version" or word.startswith("--version="):
            options["version"] = next(words, None) if word == "--version" else word[10:]
            if options["version"] is None:
                return None
        elif word.startswith("-") or options["name"] is not None:
            return None
        else:
            options["name"] = word
    views = (options["name"] is not None) + options["--silences"] + options["--pep578"]
    return options if views <= 1 else None


def _one(name: str, version: str | None, as_json: bool) -> int:
    entry = table.lookup(name) or _declared(name)
    if entry is None:
        from belljar.report.text import printable

        near = table.near(name)
        hint = f"; near: {', '.join(near)}" if near else ""
        print(f"belljar: no event {printable(name)} in the catalogue{hint}", file=sys.stderr)
        return 1
    print(_json(version, {"event": show.plain(entry)}) if as_json else show.event(entry, version))
    return 0


def _declared(name: str) -> table.Entry | None:
    """What a package at hand declares of an event: of the interpreter that would be watched."""
    import os

    from belljar.errors import BelljarError
    from belljar.events.declared import declared, places
    from belljar.watch import command

    try:
        python = command.python(None, os.environ)
    except BelljarError:
        return None
    found = declared(places(python, os.environ.get("PYTHONPATH", "")))
    for event in found.events:
        if event.name == name:
            arguments = tuple(
                table.Argument(one, tuple(types.replace(" ", "").split("|")))
                for one, types in event.arguments
            )
            return table.Entry(
                name, "application", (table.Signature("", arguments),), event.right or None,
                event.target or None, "", ("linux",), note=event.row()[-1],
            )  # fmt: skip
    from belljar.report.text import printable

    for problem in found.problems:
        print(f"belljar: declared events: {printable(problem)}", file=sys.stderr)
    return None


def _json(version: str | None, found: dict[str, Any]) -> str:
    import json

    return json.dumps({"schema": 1, "version": version, **found}, indent=1, ensure_ascii=False)
