"""A host with a template in a process of its own, told what to do line by line; and what it looks
like from outside. `Host` is the test's side, `DRIVER` what `python -c` runs in the tier."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tiers import Tier

DRIVER = """
import json, os, select, sys
from belljar.confine import plan as planner
from belljar.confine.cache import cache_directory
from belljar.confine.first_lines import boot_file
from belljar.confine.keeper import Keeper, refusal
from belljar.confine.probe import probe
from belljar.confine.program import Program
from belljar.confine.runtime import for_program
from belljar.confine.template import Template
from belljar.confine.words import tier_words
from belljar.errors import BelljarError
from belljar.model import Grant, Limits, Policy
from belljar.sandbox.streams import parameters
from belljar.watch.collect import Collector

facts = probe(cache_directory())
guests, templates = {}, {}

class Guest:
    def __init__(self, template, code, grants=(), env=(), extensions="all", **limits):
        self.lines = []
        policy = Policy(
            grants=tuple(Grant(*one) for one in grants), env=tuple(map(tuple, env)),
            extensions=extensions, limits=Limits(**limits), ledger="none",
        )
        program = Program("code", code, (), "/")
        runtime = for_program(program, cache_directory())
        self.collector = Collector()
        plan = planner.make(
            policy, runtime, program, facts.tier, self.collector.path, self.collector.page, "",
            cache_directory(),
        )
        null = os.open(os.devnull, os.O_RDWR)
        self.out, out = os.pipe()
        go_out, go = os.pipe()
        try:
            self.keeper = Keeper((null, out, out), go_out, templates.get(template))
        finally:
            for fd in (null, out, go_out):
                os.close(fd)
        self.keeper.tier(tier_words(facts.tier))
        self.keeper.build(plan.words)
        try:
            os.write(go, parameters(plan.boot))
        except BrokenPipeError:
            pass
        os.close(go)
        self.file = os.fdopen(self.out, "r")

    def line(self):
        while not select.select([self.out], [], [], 0.05)[0]:
            self.collector.drain(idle=True)
        return self.file.readline()

    def close(self):
        self.keeper.close()
        self.file.close()
        frames = b"".join(c.data for c in self.collector.drain(idle=True))
        found = [f.kind for f in self.collector.finish()]
        self.collector.close()
        return {"bytes": len(frames), "events": self.collector.events, "found": found}

    def reports(self):
        while not self.keeper.ended:
            self.lines += self.keeper.read()
        return self.lines

def template(name="t", **more):
    if name not in templates:
        program = Program("code", "", (), "/")
        templates[name] = Template(for_program(program, cache_directory()), facts.tier, **more)
    templates[name].start()
    return templates[name].pid

def guest(name, template="t", **more):
    guests[name] = Guest(template, **more)
    return guests[name].line(), guests[name].keeper.pid

def line(name):
    return guests[name].line()

def reports(name):
    return guests[name].reports()

def end(name):
    return guests.pop(name).close()

def probes(template):
    from belljar.confine import probe as one
    plain = one.Keeper
    if template:
        one.Keeper = lambda streams, go: plain(streams, go, templates[template])
    try:
        return one._try(facts.tier)[0]
    finally:
        one.Keeper = plain

def close_template(name="t"):
    templates.pop(name).close()

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def in_a_fork(name="t"):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            one = Guest(name, "print('forked')")
            os.write(write, json.dumps([templates[name].pid, one.line()]).encode())
            one.close()
            templates[name].close()
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    said = os.read(read, 4096)
    os.close(read)
    os.waitpid(child, 0)
    return json.loads(said)

print(json.dumps(facts.tier), flush=True)
for text in sys.stdin:
    what, more = json.loads(text)
    try:
        said = {"said": globals()[what](**more)}
    except BelljarError as error:
        said = {"error": [type(error).__name__, str(error)]}
    print(json.dumps(said), flush=True)
for one in list(guests):
    end(one)
for one in list(templates):
    close_template(one)
"""


class Refused(Exception):
    """A `BelljarError` in the host's process: its type and text."""


class Host:
    """Started in a tier; `do()` calls one of the driver's functions and returns what it does."""

    def __init__(self, tier: Tier, *marks: str, **env: str) -> None:
        tier.env.update(env)
        try:
            self.process = subprocess.Popen(
                [*tier.enter(), tier.python, "-c", DRIVER, *marks],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=tier.env,
                cwd=tier.home,
                text=True,
                **tier.identity,
            )
        finally:
            for name in env:
                del tier.env[name]
        self.tier = self._hear()

    def _hear(self) -> object:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, "the host ended"
        return json.loads(text)

    def do(self, what: str, /, **more: object) -> object:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([what, more]) + "\n")
        self.process.stdin.flush()
        said = self._hear()
        assert isinstance(said, dict)
        if "error" in said:
            raise Refused(*said["error"])
        return said["said"]

    def run(self, name: str, code: str, **more: object) -> str:
        """A guest's first line; the guest lives on until `end`."""
        said = self.do("guest", name=name, code=code, **more)
        assert isinstance(said, list)
        return said[0]

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def family(pid: int) -> list[int]:
    """A process and all beneath it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def gone(pids: list[int]) -> bool:
    """Wait until none of them runs; generous, since the machine may be busy."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if all(state(pid) in ("gone", "Z", "X") for pid in pids):
            return True
        time.sleep(0.01)
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return False


def memory(pid: int) -> bytes:
    """All that a process can read of itself."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            with suppress(OSError):
                file.seek(start)
                parts.append(file.read(end - start) or b"")
    return b"\0".join(parts)
