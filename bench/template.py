"""How fast guests come out of a template, beside guests that are executed.

    python bench/template.py [--count 300] [--modules numpy,json] [--tier user]

From asking (a keeper is started) to the first line that the guest's program printed. The plan is
made once and the channel is shared, so this is the engine alone: what the host's Python does for a
whole `run` (plan, receipt, ledger) is on top. Then sandboxes a second by `--together` at a time,
and what is left after all of them: processes, descriptors, memory of the template.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from collections import deque

from belljar.confine import plan as planner
from belljar.confine.cache import cache_directory
from belljar.confine.first_lines import boot_file
from belljar.confine.keeper import Keeper
from belljar.confine.probe import probe
from belljar.confine.program import Program
from belljar.confine.runtime import for_program
from belljar.confine.template import Template
from belljar.confine.words import tier_words
from belljar.model import Limits, Policy
from belljar.sandbox.streams import parameters
from belljar.watch.collect import Collector


class Bench:
    def __init__(self, modules: tuple[str, ...], code: str) -> None:
        self.program = Program("code", code, (), "/")
        self.policy = Policy(ledger="none", extensions="all", limits=Limits(threads=64))
        self.facts = probe(cache_directory())
        self.runtime = for_program(self.program, cache_directory())
        guest = os.path.join(os.path.dirname(planner.__file__), "..", "sandbox", "guest")
        first = boot_file(os.path.realpath(guest), self.runtime, cache_directory(), None)
        self.template = Template(self.runtime, self.facts.tier, modules=modules, first=[first])
        self.null = os.open(os.devnull, os.O_RDWR)

    def plan(self, collector: Collector) -> tuple[bytes, bytes, bytes]:
        made = planner.make(
            self.policy, self.runtime, self.program, self.facts.tier, collector.path,
            collector.page, "", cache_directory(),
        )  # fmt: skip
        return tier_words(self.facts.tier), made.words, parameters(made.boot)


class Guest:
    """One sandbox on its way."""

    def __init__(self, bench: Bench, words: tuple[bytes, bytes, bytes], cold: bool) -> None:
        tier, plan, boot = words
        self.began = time.perf_counter()
        out, out_in = os.pipe()
        go, go_in = os.pipe()
        template = None if cold else bench.template
        self.keeper = Keeper((bench.null, out_in, out_in), go, template)
        os.close(out_in)
        os.close(go)
        self.keeper.tier(tier)
        self.out = out
        self.go = go_in
        self.plan = plan
        self.boot = boot

    def build(self) -> None:
        self.keeper.build(self.plan)
        os.write(self.go, self.boot)
        os.close(self.go)

    def reply(self) -> float:
        data = os.read(self.out, 100)
        took = time.perf_counter() - self.began
        if not data.startswith(b"up"):
            raise SystemExit(f"not what was asked: {data!r} {self.keeper.read()}")
        return took

    def close(self) -> None:
        self.keeper.close()
        os.close(self.out)


def one(bench: Bench, words: tuple[bytes, bytes, bytes], cold: bool, parked: bool) -> float:
    guest = Guest(bench, words, cold)
    if parked:
        time.sleep(0.01)
        guest.began = time.perf_counter()
    guest.build()
    took = guest.reply()
    guest.close()
    return took


def latency(bench: Bench, count: int) -> None:
    kinds = {"template": (False, False), "parked": (False, True), "cold": (True, False)}
    took: dict[str, list[float]] = {name: [] for name in kinds}
    with Collector() as collector:
        words = bench.plan(collector)
        for number in range(count):
            for name, (cold, parked) in kinds.items():
                if name == "cold" and number % 5:
                    continue
                took[name].append(one(bench, words, cold, parked))
                collector.drain(idle=True)
    for name, times in took.items():
        ordered = sorted(times)
        print(
            f"{name:9} median {statistics.median(times) * 1e3:6.2f} ms   "
            f"least {ordered[0] * 1e3:6.2f}   p90 {ordered[len(ordered) * 9 // 10] * 1e3:6.2f}"
        )


def together(bench: Bench, count: int, width: int) -> None:
    """`count` in a row, `width` at a time: each is closed when it has replied."""
    before = left(bench)
    with Collector() as collector:
        words = bench.plan(collector)
        started = time.perf_counter()
        alive: deque[Guest] = deque()
        for _ in range(count):
            guest = Guest(bench, words, False)
            guest.build()
            alive.append(guest)
            if len(alive) >= width:
                oldest = alive.popleft()
                oldest.reply()
                oldest.close()
            collector.drain(idle=True)
        while alive:
            oldest = alive.popleft()
            oldest.reply()
            oldest.close()
        took = time.perf_counter() - started
    print(f"{count} in {took:.2f} s: {count / took:.0f} a second, {width} at a time")
    print(f"before {before}\nafter  {left(bench)}")


def left(bench: Bench) -> dict[str, int]:
    """Our descriptors, processes beneath the template, its memory."""
    tree = family(bench.template.pid)
    resident = 0
    for pid in tree:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    resident += int(line.split()[1])
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(tree),
        "KiB": resident,
    }


def family(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = [int(word) for word in file.read().split()]
    return [pid, *(one for child in children for one in family(child))]


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--count", type=int, default=200)
    words.add_argument("--row", type=int, default=2000)
    words.add_argument("--together", type=int, default=2)
    words.add_argument("--modules", default="")
    given = words.parse_args()
    modules = tuple(name for name in given.modules.split(",") if name)
    bench = Bench(modules, "print('up', flush=True)\nwhile True: __import__('time').sleep(9)")
    began = time.perf_counter()
    bench.template.start()
    print(f"template of {sys.version.split()[0]} with {modules or 'nothing'}: "
          f"{(time.perf_counter() - began) * 1e3:.0f} ms, tier {bench.facts.tier}")  # fmt: skip
    gc.collect()
    latency(bench, given.count)
    if given.row:
        together(bench, given.row, given.together)
    bench.template.close()


if __name__ == "__main__":
    main()
