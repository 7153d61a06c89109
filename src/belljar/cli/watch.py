"""`belljar watch`: run a program unrestricted, record it and its children, say what it did.

Exit status: the program's own (128 + n for a signal); 126 not executable, 127 not found, 125
Belljar failed and nothing of the program ran, 2 usage.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import BelljarError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TextIO

    from belljar.report.summary import Summary
    from belljar.watch.collect import Chunk
    from belljar.watch.findings import Finding

_USAGE: Final = """\
usage: belljar watch [options] SCRIPT [ARGS...]
       belljar watch [options] -c CODE [ARGS...] | -m MODULE [ARGS...]
       belljar watch [options] -- COMMAND [ARGS...]

Run a program, restrict nothing, record everything it and its children do.

options:
  --json          one event a line, as JSON, instead of the summary
  --quiet         print nothing
  --ledger DIR    where the record goes: a directory, auto or none (auto)
  --python PATH   the interpreter for SCRIPT, -c and -m
  --to FILE       the summary or JSON goes there (standard error)
"""
_MOST_WAITING: Final = 64 << 20
_FRAMES_AT_ONCE: Final = 200


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.json = self.quiet = False
        self.ledger = "auto"
        self.python: str | None = None
        self.to: str | None = None
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
        name, equals, value = word.partition("=")
        if word in ("--json", "--quiet"):
            setattr(options, word[2:], True)
        elif name in ("--ledger", "--python", "--to"):
            if not equals:
                if not rest:
                    raise UsageError(f"{name} needs a value")
                value = rest.pop(0)
            setattr(options, name[2:], value)
        elif word == "--":
            options.command, options.is_python = rest, False
            break
        elif word in ("-c", "-m"):
            if not rest:
                raise UsageError(f"{word} needs a value")
            options.command = [word, *rest]
            break
        elif word.startswith("-") and word != "-":
            raise UsageError(f"unknown option {word}")
        else:
            options.command = [word, *rest]
            break
    if not options.command:
        raise UsageError("nothing to run: give SCRIPT, -c, -m or -- COMMAND")
    return options


def main(argv: list[str]) -> int:
    """Run `belljar watch` with `argv` (without the words `belljar watch`); the exit status.

    >>> main(["--quiet", "--ledger", "none", "-c", "raise SystemExit(3)"])  # doctest: +SKIP
    3
    """
    if argv[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        return 0
    try:
        return _run(parse(argv))
    except BelljarError as error:
        from belljar.report.text import printable

        sys.stderr.write(f"belljar: {printable(str(error))}\n")
        if isinstance(error, UsageError):
            sys.stderr.write("try: belljar watch --help\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"belljar: cannot watch: {error.strerror}\n")
        return 125


def _check_script(script: str) -> None:
    """Say what a shell would say; the interpreter's own status for a missing script is 2."""
    from belljar.errors import ProgramNotExecutable, ProgramNotFound

    if script in ("-c", "-m", "-"):
        return
    if not os.path.exists(script):
        raise ProgramNotFound(f"cannot run {script}: no such file")
    if os.path.isdir(script) and not os.path.exists(os.path.join(script, "__main__.py")):
        raise ProgramNotExecutable(f"cannot run {script}: it is a directory")


def _run(options: Options) -> int:
    from belljar.watch import command, run
    from belljar.watch.record import Record

    if options.is_python:
        _check_script(options.command[0])
        words = [command.python(options.python, os.environ), *options.command]
    else:
        words = list(options.command)
    path = command.program(words[0], os.environ)
    with Record(options.ledger) as record, _Output(options.to) as out:
        view = _View(options, out)
        record.start(words)

        def take(chunks: list[Chunk]) -> None:
            record.take(chunks)
            view.take(chunks)

        result = run.watch(
            [path, *words[1:]], os.environ, take, view.work, speaks=options.is_python
        )
        record.end(result)
        view.finish([*result.findings, *record.findings])
        return result.status


class _Output:
    """A stream to write to that is closed only if it is ours."""

    def __init__(self, to: str | None) -> None:
        self._to = to
        self.stream: TextIO = sys.stderr
        if to is not None:
            fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            self.stream = os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace")

    def __enter__(self) -> TextIO:
        return self.stream

    def __exit__(self, *_exception: object) -> None:
        if self._to is None:
            return
        try:
            self.stream.close()
        except OSError as error:
            from belljar.report.text import printable

            place = printable(self._to)
            sys.stderr.write(f"belljar: cannot write all of {place}: {error.strerror}\n")


class _View:
    """What is printed: JSON lines as they come, or the summary at the end.

    Decoding costs ten times what recording does, so it is done when there is nothing to collect;
    a program is slowed down by it only when it is `_MOST_WAITING` ahead.
    """

    def __init__(self, options: Options, out: TextIO) -> None:
        self._json, self._quiet, self._out = options.json, options.quiet, out
        self._summary: Summary | None = None
        self._broken = 0
        self._waiting: list[bytes] = []
        self._at = self._size = 0

    def take(self, chunks: list[Chunk]) -> None:
        """Keep chunks for later."""
        if self._quiet:
            return
        for chunk in chunks:
            self._waiting.append(chunk.data)
            self._size += len(chunk.data)
        while self._size > _MOST_WAITING and self.work():
            continue

    def work(self) -> bool:
        """Decode some of what waits; False when nothing is left."""
        if self._quiet:
            return False
        from belljar.errors import GuestProtocolError

        if self._summary is None:
            from belljar.report.summary import Summary

            self._summary = Summary()
        if not self._waiting:
            return False
        data, at = self._waiting[0], self._at
        for _ in range(_FRAMES_AT_ONCE):
            if at >= len(data):
                break
            size = int.from_bytes(data[at + 2 : at + 4], "little")
            try:
                self._frame(data[at : at + size])
            except GuestProtocolError:
                self._broken += 1
            at += size
        self._at = at
        if at >= len(data):
            self._size -= len(data)
            self._at = 0
            del self._waiting[0]
        return True

    def _frame(self, frame: bytes) -> None:
        from belljar.events.decode import BYE, HELLO, decode, decode_bye, decode_hello

        assert self._summary is not None
        kind = frame[4]
        if kind == HELLO:
            hello = decode_hello(frame)
            self._summary.hello()
            self._line("hello", hello)
        elif kind == BYE:
            self._line("bye", decode_bye(frame))
        else:
            event = decode(frame)
            if self._json:
                self._line("event", event)
            else:
                self._summary.add(event)

    def _line(self, kind: str, value: Any) -> None:
        if self._json:
            from belljar.ledger.entries import plain

            line = plain(value)
            self._print({"kind": kind, **line.pop("header", {}), **line} | {"kind": kind})

    def _print(self, value: dict[str, Any]) -> None:
        import json

        self._write(json.dumps(value) + "\n")

    def _write(self, text: str) -> None:
        """Whoever read may have gone; that is no reason to leave the program unrecorded."""
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            self._quiet = True

    def finish(self, findings: list[Finding]) -> None:
        if self._quiet:
            return
        while self.work():
            continue
        assert self._summary is not None
        from belljar.report.text import wants_colour
        from belljar.watch.findings import Finding

        if self._broken:
            text = f"{self._broken} frames could not be decoded"
            findings = [*findings, Finding("malformed", 0, self._broken, 0, text)]
        if self._json:
            for finding in findings:
                self._print({**finding.plain(), "kind": "finding", "finding": finding.kind})
        else:
            lines = self._summary.lines(findings, colour=wants_colour(self._out))
            self._write("".join(f"{line}\n" for line in lines))
