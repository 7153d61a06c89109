"""Run a program under the recorder and read what it sent."""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from belljar.events.decode import BYE, HELLO, decode, decode_bye, decode_hello
from belljar.watch.attach import environment
from belljar.watch.collect import Collector


class Recording:
    """What one command printed, how it ended, and its decoded frames in order."""

    def __init__(self) -> None:
        self.status = -1
        self.out = self.err = ""
        self.pid = 0
        self.hellos: list[Any] = []
        self.events: list[Any] = []
        self.byes: list[Any] = []
        self.raw: list[bytes] = []
        self.findings: list[Any] = []

    def named(self, name: str) -> list[Any]:
        return [event for event in self.events if event.name == name]

    def marks(self) -> list[Any]:
        """The first argument of every `sys.audit("mark", ...)` of the program."""
        return [event.args[0] for event in self.named("mark")]

    def take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            size = int.from_bytes(data[at + 2 : at + 4], "little")
            frame = data[at : at + size]
            self.raw.append(frame)
            if frame[4] == HELLO:
                self.hellos.append(decode_hello(frame))
            elif frame[4] == BYE:
                self.byes.append(decode_bye(frame))
            else:
                self.events.append(decode(frame))
            at += size


def _record(
    argv: list[str],
    *,
    window: str | None = None,
    settings: str | None = None,
    strict: bool = False,
    paged: bool = True,
    env: dict[str, str] | None = None,
    before_close: Callable[[], None] = lambda: None,
    **options: Any,
) -> Recording:
    base = {"PATH": "/usr/bin:/bin", **(env or {})}
    found = Recording()
    with Collector() as collector:
        page = collector.page if paged else None
        asked = None
        if settings is not None:
            asked = os.path.join(os.path.dirname(collector.path), "settings-of-the-test")
            with open(asked, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(settings)
        full = environment(
            base, collector.path, page=page, window=window, settings=asked, strict=strict
        )
        with subprocess.Popen(
            argv,
            env=full,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            **options,
        ) as child:
            chunks = []
            deadline = time.monotonic() + 60
            while child.poll() is None and time.monotonic() < deadline:
                chunks += collector.drain()
                time.sleep(0.002)
            found.out, found.err = child.communicate(timeout=10)
        while more := collector.drain(idle=True):
            chunks += more
        for chunk in chunks:
            found.take(chunk.data)
        if asked is not None:
            os.unlink(asked)
        found.status, found.pid = child.returncode, child.pid
        found.findings = collector.finish()
    return found


@pytest.fixture
def record() -> Callable[..., Recording]:
    """`record(argv, window=, settings=, strict=, env=)` runs a command under the recorder."""
    return _record


@pytest.fixture
def run_code() -> Callable[..., Recording]:
    """`run_code(source)` runs Python source under the recorder, isolated."""

    def run(source: str, **options: Any) -> Recording:
        return _record([sys.executable, "-I", "-S", "-c", source], **options)

    return run


def _interpreters() -> list[str]:
    """Every CPython >= 3.8 at hand, the real binaries."""
    found = {}
    places = [os.path.expanduser("~/.pyenv/versions/*/bin/python3.*"), "/usr/bin/python3.*"]
    for path in sorted(p for place in places for p in glob.glob(place)):
        minor = re.fullmatch(r"python3\.(\d+)", os.path.basename(path))
        if minor and int(minor[1]) >= 8:
            found[os.path.realpath(path)] = path
    return sorted(found.values()) or [sys.executable]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "interpreter" in metafunc.fixturenames:
        metafunc.parametrize("interpreter", _interpreters())
