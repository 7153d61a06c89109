"""`belljar why`: one denial or alert, or any other entry of the record, explained to the end.

Exit status: 0 shown, 1 no such entry, 2 usage.
"""

from __future__ import annotations

import sys

from belljar.errors import LedgerError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_USAGE: Final = """\
usage: belljar why [--json] [LEDGER] [N]

Explain entry N of the record (412 or '#412'; the newest denial or alert): what was asked, by whom
and where, what decided and why no grant covers it, what enforced it, what would allow it, and
what happened around it. LEDGER is a directory (your own).
"""


def parse(argv: list[str]) -> tuple[str, int, bool]:
    """(directory or nothing, number or 0, as JSON). Raises `UsageError`.

    >>> parse(["#412"]), parse(["--json", "led"])
    (('', 412, False), ('led', 0, True))
    """
    directory, number, json = "", 0, False
    for word in argv:
        digits = word.removeprefix("#")
        if word == "--json":
            json = True
        elif word.startswith("-"):
            raise UsageError(f"unknown option {word}")
        elif not number and digits.isascii() and digits.isdigit():
            number = int(digits) if len(digits) < 19 else -1
            if number < 1:
                raise UsageError(f"{word} is no number of an entry: they count from 1")
        elif not directory:
            directory = word
        else:
            raise UsageError(f"{word} is one word too many")
    return directory, number, json


def main(argv: list[str]) -> int:
    """Run `belljar why` with `argv` (without the words `belljar why`); the exit status.

    >>> main(["/no/such/ledger"])  # doctest: +SKIP
    1
    """
    from belljar.report.text import printable

    if argv[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        return 0
    try:
        directory, number, json = parse(argv)
    except UsageError as error:
        sys.stderr.write(f"belljar: why: {printable(str(error))}\n{_USAGE.splitlines()[0]}\n")
        return 2
    from belljar.ledger.place import default_directory
    from belljar.ledger.runs import last_decision
    from belljar.watch.explain import explain

    directory = directory or default_directory()
    try:
        found = explain(directory, number or last_decision(directory))
    except LedgerError as error:
        sys.stderr.write(f"belljar: {printable(str(error))}\n")
        return 1
    from belljar.report import why

    if json:
        from json import dumps

        # ASCII only, so that nothing in it can drive a terminal; JSON leaves DEL as it is
        sys.stdout.write(dumps(why.as_json(found)).replace("\x7f", "\\u007f") + "\n")
        return 0
    from belljar.report.text import wants_colour

    sys.stdout.write("\n".join(why.lines(found, wants_colour(sys.stdout))) + "\n")
    return 0
