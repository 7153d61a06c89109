"""`belljar learn`: from what a program does to the smallest policy that would have sufficed.

Exit status: 0 a policy was written; 1 there is no such record, or nothing to learn from; 2 usage;
126 and 127 as a shell's, when nothing ran.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import LedgerError, PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.watch.lessons import Lesson

_USAGE: Final = """\
usage: belljar learn [options] SCRIPT [ARGS...]
       belljar learn [options] -c CODE [ARGS...] | -m MODULE [ARGS...]
       belljar learn [options] --record [LEDGER]

Run a program, UNRESTRICTED and recorded, or read a record that is there already (of `watch` or
`run`), and write the smallest policy that would have sufficed.

options:
  -o FILE         write the policy there (standard output)
  --force         overwrite FILE
  --record        learn from the ledger instead of running something; its directory may follow
  --run ID        with --record: that run, by the beginning of its id (the latest)
  --ledger DIR    where the record of the program goes: a directory or auto (auto)
  --python PATH   the interpreter for SCRIPT, -c and -m

Without -o, what the program prints on standard output goes to standard error.
"""
_VALUES: Final = ("-o", "--run", "--ledger", "--python")


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.force = self.record = False
        self.command: list[str] = []


def parse(argv: list[str]) -> Options:
    """Options and command of `argv`. Raises `UsageError`.

    >>> parse(["-o", "p.toml", "a.py", "-x"]).command
    ['a.py', '-x']
    """
    options, rest = Options(), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word in ("--force", "--record"):
            setattr(options, word[2:], True)
        elif (name if equals and name.startswith("--") else word) in _VALUES:
            if not (equals and name.startswith("--")):
                if not rest:
                    raise UsageError(f"{word} needs a value")
                name, value = word, rest.pop(0)
            options.values[name] = value
        elif word in ("-c", "-m"):
            if not rest:
                raise UsageError(f"{word} needs a value")
            options.command = [word, *rest]
            break
        elif word == "--":
            options.command = rest
            break
        elif word.startswith("-") and word != "-":
            raise UsageError(f"unknown option {word}")
        elif options.record:
            options.command.append(word)  # the ledger's directory; options may still follow
        else:
            options.command = [word, *rest]
            break
    _check(options)
    return options


def _check(options: Options) -> None:
    if options.record:
        if len(options.command) > 1:
            raise UsageError("with --record comes a ledger's directory at most, and no program")
        if "--python" in options.values:
            raise UsageError("--python is for a program that is to run")
    elif "--run" in options.values:
        raise UsageError("--run is for --record: it names a run that was recorded")
    elif not options.command:
        raise UsageError("nothing to learn from: give SCRIPT, -c, -m or --record")
    if options.values.get("--ledger") == "none":
        raise UsageError("learning needs the record: give --ledger a directory")
    if options.values.get("--ledger", "").startswith("unix:"):
        raise UsageError("learning reads the record, not a collector's: give --ledger DIR")


def main(argv: list[str]) -> int:
    """Run `belljar learn` with `argv` (without the words `belljar learn`); the exit status.

    >>> main(["--record", "/no/such/ledger"])  # doctest: +SKIP
    1
    """
    if argv[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        return 0
    try:
        options = parse(argv)
        _check_place(options)
    except UsageError as error:
        _say(f"{error}\ntry: belljar learn --help")
        return 2
    try:
        lesson = _read(options) if options.record else _run(options)
    except LedgerError as error:
        _say(str(error))
        return 1
    from belljar.policy.file import MAX_BYTES

    text = _text(lesson, options)
    for line in lesson.amiss:
        _say(line)
    if len(text.encode()) > MAX_BYTES:
        _say("the policy is larger than Belljar reads: grant directories instead of files in it")
    _write(options, text)
    return 0


def _check_place(options: Options) -> None:
    path = options.values.get("-o")
    if path is None:
        return
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise UsageError(f"-o {path}: there is no such directory")
    if os.path.isdir(path):
        raise UsageError(f"-o {path}: is a directory")
    if os.path.lexists(path) and not options.force:
        raise UsageError(f"-o {path}: exists already; --force overwrites it")


def _read(options: Options) -> Lesson:
    from belljar.ledger.place import resolve
    from belljar.ledger.runs import find
    from belljar.watch.lessons import study

    setting = options.command[0] if options.command else options.values.get("--ledger", "auto")
    directory = resolve(setting) or ""
    return study(directory, find(directory, options.values.get("--run", "")))


def _run(options: Options) -> Lesson:
    """Run the program under watch, then read the record."""
    from belljar.cli.watch import _check_script
    from belljar.ledger.place import resolve
    from belljar.ledger.runs import find
    from belljar.report.text import printable
    from belljar.watch import command, run
    from belljar.watch.lessons import study
    from belljar.watch.record import Record

    setting = options.values.get("--ledger", "auto")
    directory = resolve(setting) or ""
    _check_script(options.command[0])
    words = [command.python(options.values.get("--python"), os.environ), *options.command]
    path = command.program(words[0], os.environ)
    name = printable(" ".join(options.command[:2] if words[1] in ("-c", "-m") else words[1:2]), 60)
    _say(f"{name} now runs UNRESTRICTED, with all your rights, to learn from what it does")
    with Record(setting) as record:
        record.start(words)
        before = _offset()
        kept = None if "-o" in options.values else _aside()
        try:
            result = run.watch([path, *words[1:]], os.environ, record.take, speaks=True)
        finally:
            if kept is not None:
                os.dup2(kept, 1)
                os.close(kept)
        record.end(result)
        findings = [*result.findings, *record.findings]
        which = record.run_id.hex()
    for finding in findings:
        _say(f"the record is not whole: {printable(str(finding))}")
    if result.status:
        _say(f"the program ended with status {result.status}: what it did until then was learned")
    return study(directory, find(directory, which), reads_input=before != _offset())


def _aside() -> int:
    """The policy goes to standard output: what the program prints goes elsewhere meanwhile."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept


def _offset() -> int:
    """How far standard input was read, where it is a file; the only trace that reading leaves."""
    try:
        return os.lseek(0, 0, os.SEEK_CUR)
    except OSError:
        return -1


def _text(lesson: Lesson, options: Options) -> str:
    from belljar.policy.toml import to_toml

    place = options.values.get("-o")
    folder = os.path.realpath(os.path.dirname(place) or ".") if place else os.getcwd()
    name = lesson.program.target if lesson.program.kind != "code" else "-c"
    granted = sum(1 for i in lesson.learned.items if not i.withheld)
    proposed = len(lesson.learned.items) - granted
    what = f"from {_count(lesson.events, 'event')} of {name}"
    first = f"Learned by Belljar {what}: what they needed, and no more."
    if lesson.kind == "run":
        first = f"The policy of a run, and what was denied in it; learned by Belljar {what}."
    heading = [
        first,
        "Review it. What the program did not do this time, it may not do next time.",
        "Not in the record, so not here: reads of the environment (they raise no event), files",
        "that are only looked at (stat), and what native code or other programs open themselves.",
    ]
    if lesson.denied:
        heading.append(f"Marked `was denied`: {_count(lesson.denied, 'denial')} of that run.")
    if proposed:
        heading.append(f"Marked `NOT GRANTED`: {_count(proposed, 'line')} for you to decide about.")
    heading += lesson.amiss
    return to_toml(lesson.learned, folder, tuple(heading))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _write(options: Options, text: str) -> None:
    place = options.values.get("-o")
    if place is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    temporary = f"{place}.{os.urandom(8).hex()}"
    try:
        if not options.force:
            with open(os.open(place, flags, 0o666), "w", encoding="utf-8") as file:
                file.write(text)
        else:
            with open(os.open(temporary, flags, 0o666), "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, place)
    except OSError as error:
        raise PolicyError("-o", f"{place}: {error.strerror}") from error
    from belljar.report.text import printable

    _say(f"{printable(place)} written: try belljar run --policy {printable(place)} ...")


def _say(text: str) -> None:
    from belljar.report.text import printable

    for line in text.split("\n"):
        sys.stderr.write(f"belljar: {printable(line, 1000)}\n")
    sys.stderr.flush()
