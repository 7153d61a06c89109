"""`python bench/recorder`: what the recorder costs an event, and whole programs.

Every figure comes from rounds in which plain, recorded and rivals take turns; ratios are medians of
the rounds' ratios. The collector and its ledger run beside the program, as they do for a user.

    python bench/recorder [--rounds N] [--only NAME] [--json FILE] [events|programs|scale ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import events
import measure
import programs

#: name of the row -> (row it is compared with, most nanoseconds more)
TARGETS = {
    "filtered out": ("no hook", 60),
    "buffered": ("no hook", 300),
    "buffered, 1 filter lines": ("no hook", 300),
    "buffered, 100 filter lines": ("no hook", 300),
    "buffered, 1000 filter lines": ("no hook", 300),
    "written, collector busy": ("no hook", 1200),
    "written, collector asleep": ("no hook, after a pause", 6000),
    "os.write, after a pause": ("no hook, after a pause", 0),
    "os.write that wakes a reader": ("no hook, after a pause", 0),
}
MEDIAN, WORST = 1.03, 1.10


def show_events(rounds: int) -> tuple[bool, dict[str, float]]:
    """The table of single events; False where one is over its target."""
    found = events.table(rounds)
    good = True
    print(f"{'one event':<36} {'ns':>9} {'more':>9} {'target':>8}")
    for name, value in found.items():
        base, most = TARGETS.get(name, ("no hook", 0))
        base = "open+close, no hook" if name.startswith("open") else base
        more = value - found[base]
        over = bool(most) and more > most
        good &= not over
        target = f"{most:8}" if most else " " * 8
        print(f"{name:<36} {value:9.0f} {more:9.0f} {target}{'  over' if over else ''}")
    return good, found


def show_programs(rounds: int, only: str, scale: bool) -> tuple[bool, dict[str, dict[str, float]]]:
    """The table of programs as ratios to plain; False where the median or the worst is over."""
    kinds = measure.runners(scale)
    names = list(kinds)
    print(f"{'program':<20} {'plain':>9} " + " ".join(f"{name:>20}" for name in names[1:]))
    found: dict[str, dict[str, float]] = {}
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    with programs.programs(only) as chosen:
        for program in chosen:
            seconds = measure.interleaved(program.argv, env, kinds, rounds, program.prepare)
            found[program.name] = measure.ratios(seconds)
            middle = statistics.median(seconds["plain"])
            row = " ".join(f"{found[program.name][name]:>20.3f}" for name in names[1:])
            print(f"{program.name:<20} {middle:8.3f}s {row}", flush=True)
    own = [ratio["recorder"] for ratio in found.values()]
    middle, worst = statistics.median(own), max(own)
    good = middle <= MEDIAN and worst <= WORST
    print(
        f"recorder: median {middle:.3f} (target {MEDIAN}), worst {worst:.3f} (target {WORST})"
        + ("" if good else "  over")
    )
    return good, found


def main() -> int:
    """Measure, print, and say by the exit status whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("what", nargs="*", default=["events", "programs"])
    options = parser.parse_args()
    version = "{}.{}.{}".format(*sys.version_info[:3])
    uname = os.uname()
    print(f"CPython {version}, Linux {uname.release} {uname.machine}, {os.cpu_count()} cores")
    good, found = True, {}
    if "events" in options.what:
        fine, found["events"] = show_events(options.rounds)
        good &= fine
    if "programs" in options.what or "scale" in options.what:
        scale = "scale" in options.what
        fine, found["programs"] = show_programs(options.rounds, options.only, scale)  # type: ignore[assignment]
        good &= fine
    if options.json:
        Path(options.json).write_text(json.dumps(found))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
