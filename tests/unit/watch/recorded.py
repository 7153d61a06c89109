"""Run Python source under the recorder, with all its processes, and read what came."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from belljar.events.decode import BYE, HELLO, decode, decode_bye, decode_hello
from belljar.watch.attach import environment
from belljar.watch.collect import Collector


class Recorded:
    """What one program did, by process."""

    def __init__(self) -> None:
        self.status = 0
        self.err = ""
        self.pid = 0
        self.hellos: list[Any] = []
        self.byes: list[Any] = []
        self.events: list[Any] = []
        self.findings: list[Any] = []

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def marks(self) -> list[Any]:
        return [event.args[0] for event in self.events if event.name == "mark"]

    def kinds(self) -> set[str]:
        return {finding.kind for finding in self.findings}

    def told(self, name: str, text: str) -> bool:
        return any(e.name == name and text in repr(e.args) for e in self.events)

    def take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            frame = data[at : at + int.from_bytes(data[at + 2 : at + 4], "little")]
            if frame[4] == HELLO:
                self.hellos.append(decode_hello(frame))
            elif frame[4] == BYE:
                self.byes.append(decode_bye(frame))
            else:
                self.events.append(decode(frame))
            at += len(frame)


def record(
    source: str, *options: str, python: str = sys.executable, settings: str = ""
) -> Recorded:
    found = Recorded()
    with Collector() as collector, tempfile.NamedTemporaryFile("w") as told:
        told.write(settings)
        told.flush()
        env = environment(
            {"PATH": "/usr/bin:/bin"}, collector.path, page=collector.page,
            settings=told.name if settings else None,
        )  # fmt: skip
        child = subprocess.Popen(
            [python, "-I", *options, "-c", source], env=env,
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        chunks = []
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            chunks += collector.drain()
            time.sleep(0.002)
        found.err = child.communicate(timeout=10)[1]
        while more := collector.drain(idle=True):
            chunks += more
        for chunk in chunks:
            found.take(chunk.data)
        found.status, found.pid = child.returncode, child.pid
        found.findings = collector.finish()
    return found


def whole(found: Recorded) -> bool:
    """Does every process count from 1 without a gap?"""
    for process in {event.pid for event in found.events}:
        numbers = [event.seq for event in found.events if event.pid == process]
        if numbers != list(range(1, len(numbers) + 1)):
            return False
    return True


def others() -> list[str]:
    """One interpreter of each other version at hand, the oldest and the newest."""
    paths = glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3.*"))
    minors_of = [path.rpartition("python3.")[2] for path in paths]
    by_minor = {int(m): path for m, path in zip(minors_of, paths, strict=True) if m.isdigit()}
    minors = sorted(minor for minor in by_minor if minor >= 8)
    return [by_minor[minor] for minor in dict.fromkeys((*minors[:1], *minors[-1:]))]
