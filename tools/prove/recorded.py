"""CPython's own tests under the recorder: which events came, with what shapes of arguments, and
whether any test ended otherwise than without the recorder.

A shape is the tuple of kinds of an event's arguments: `str`, `bytes`, `int`, `float`, `bool`,
`None`, `array` (tuple, list or the keys of a dict), `code`, or `<Name>` for any other type.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import xml.etree.ElementTree as Xml
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from belljar.watch.run import watch

EVENT, TRUNCATED, HEADER = 2, 4, 32
MOST_SHAPES = 2000
#: Modules that some installations leave out, and what stands in for them in `extra`.
INSTEAD = {"test_multiprocessing_spawn": "test_spawned"}
#: Tests that can hang for ever without the recorder, too: where a virtual machine has no socket to
#: its host; 3.11's interpreters in threads; 3.13's recursion that an interrupt should end.
LEFT_OUT = {
    "test_socket": ("*VSOCK*",),
    "test_interpreters": ("*thread*",),
    "test_threading": ("*gh_102056",),
}
#: What the recorder and the interpreter need, and nothing that changes what is tested.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class Outcome(NamedTuple):
    """One run of one test module: result by test, and how the process ended."""

    status: int
    tests: dict[str, str]


class Record:
    """Counts of events and the shapes of their arguments."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.shapes: dict[str, set[tuple[str, ...]]] = {}
        self.findings: Counter[str] = Counter()
        self._decode = msgspec.msgpack.Decoder(ext_hook=_extension).decode

    def resume(self, result: dict) -> None:
        """Go on from the results of a proof that was cut off."""
        self.counts.update(result["counts"])
        self.findings.update(result["findings"])
        for name, shapes in result["shapes"].items():
            self.shapes[name] = {tuple(shape) for shape in shapes}

    def take(self, chunks: list) -> None:
        """Note every event in the chunks of a collector."""
        for chunk in chunks:
            data, at = chunk.data, 0
            while at < len(data):
                size = int.from_bytes(data[at + 2 : at + 4], "little")
                if data[at + 4] == EVENT:
                    self._event(data[at : at + size])
                at += size

    def _event(self, frame: bytes) -> None:
        name, args = self._decode(frame[HEADER:])[:2]
        if not isinstance(name, str):
            name = repr(name)
        self.counts[name] += 1
        # nil in a truncated frame may stand for anything that did not fit
        cut = frame[5] & TRUNCATED
        shape = tuple("?" if cut and v is None else _kind(v) for v in args)
        seen = self.shapes.setdefault(name, set())
        if len(seen) < MOST_SHAPES:
            seen.add(shape)


class _Foreign(str):
    """The kind of a value that MessagePack has no type for."""


def _extension(code: int, data: memoryview) -> object:
    if code == 3:
        return _Foreign(f"<{bytes(data).decode('utf-8', 'replace')}>")
    if code in (4, 6):
        return msgspec.msgpack.decode(data, type=list)[0]
    return _Foreign({1: "str", 2: "int", 5: "code", 7: "<socket>"}.get(code, f"<ext {code}>"))


def _kind(value: object) -> str:
    if type(value) is _Foreign:
        return str(value)
    if type(value) is msgspec.msgpack.Ext:
        return "str"
    if value is None:
        return "None"
    return "array" if type(value) is list else type(value).__name__


def has_test(python: str, name: str) -> bool:
    """Does this interpreter come with the test module, or with what stands in for it?"""
    return name in INSTEAD or _installed(python, name)


def _installed(python: str, name: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec('test.{name}') is None)"
    return subprocess.run([python, "-I", "-c", code], check=False).returncode == 0


def run(python: str, name: str, record: Record | None, log: Path, only: tuple = ()) -> Outcome:
    """Run one test module, under the recorder where there is a record to fill."""
    with tempfile.TemporaryDirectory(prefix="prove-") as folder:
        results = os.path.join(folder, "results.xml")
        words = [python, "-m", "test", "--timeout", "900", "--junit-xml", results]
        for pattern in LEFT_OUT.get(name, ()):
            words += ["--ignore", pattern]
        for test in only:
            words += ["--match", test]
        if not _installed(python, name):
            words += ["--testdir", str(Path(__file__).parent.resolve() / "extra")]
            name = INSTEAD[name]
        environ = {key: os.environ[key] for key in KEPT if key in os.environ}
        # the shell says nothing of its own; it only takes the output elsewhere
        argv = ["/bin/sh", "-c", f'exec "$0" "$@" > "{log}" 2>&1 < /dev/null', *words, name]
        before = os.getcwd()
        os.chdir(folder)
        try:
            if record is None:
                status = subprocess.run(argv, env=environ, check=False).returncode
            else:
                ended = watch(argv, environ, record.take)
                status = ended.status
                record.findings.update(finding.kind for finding in ended.findings)
        finally:
            os.chdir(before)
        return Outcome(status, outcomes(results))


def outcomes(results: str) -> dict[str, str]:
    """Test id to `passed`, `skipped`, `failed` from a file of regrtest; {} where it died."""
    if not os.path.exists(results):
        return {}
    found: dict[str, str] = {}
    for case in Xml.parse(results).getroot().iter("testcase"):  # noqa: S314 (a file that we had written)
        kinds = {child.tag for child in case}
        failed = bool(kinds & {"failure", "error"})
        word = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
        name = case.get("name", "?")
        if case.get("classname"):
            name = f"{case.get('classname')}.{name}"
        found[name] = "failed" if found.get(name) == "failed" else word
    return found


def different(plain: Outcome, recorded: Outcome) -> set[str]:
    """The tests that ended otherwise; `(the run)` for the exit status of a run without results."""
    tests = plain.tests.keys() | recorded.tests.keys()
    wrong = {t for t in tests if plain.tests.get(t) != recorded.tests.get(t)}
    if plain.status != recorded.status and not wrong:
        wrong.add("(the run)")
    return wrong
