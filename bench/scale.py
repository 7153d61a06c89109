"""How many sandboxes live at once, how many go by in sequence, and whether anything is left.

    bench/scale.py [--alive N] [--sequence N] [--live N] [--json FILE]

Every sandbox is a `belljar run`, but for the N `--live` ones, which go by in one process that calls
`belljar.run`, each with a word to its guest and one back. Those that live at once are started until
N live or memory gets short, each says a word to prove that its guest runs; then a third end by
themselves, a third are interrupted, and of a third the host's process is killed. Afterwards, and
after the sequence, these must be as before: processes, open descriptors of this process, mounts,
namespaces, cgroups, files in the temporary and cache directories, shared memory and System V
objects. Exit status 1 if not. An interrupt ends the live ones where they are, and they are judged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
COMMAND = [sys.executable, str(HERE.parent / "tools" / "belljar")]
INSTALLED = Path(sys.executable).parent / "belljar"
if INSTALLED.exists():
    COMMAND = [str(INSTALLED)]
#: memory that must stay free, in MiB
SPARE = 1500
ALIVE = "import sys; print('up', flush=True); sys.stdin.read()"


class Machine:
    """What a sandbox could leave behind, with a private home so that nothing else is counted."""

    def __init__(self, home: Path) -> None:
        self.home, self.mark = home, f"scale-{os.getpid()}-{time.time_ns():x}"
        for name in ("tmp", "cache", "state"):
            (home / name).mkdir(mode=0o700)
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(home / "tmp"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_STATE_HOME": str(home / "state"),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BELLJAR_CLERK": "none",  # it outlives its run on purpose
            "SCALE": self.mark,
        }

    def words(self, *words: str) -> list[str]:
        return [*COMMAND, "run", "--quiet", "--env", f"SCALE={self.mark}", *words]

    def processes(self) -> list[int]:
        """Every process of ours: by its environment, by where it works, or by its parent."""
        ours: set[int] = set()
        parents: dict[int, int] = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if fields[0] == "Z" and int(fields[1]) != os.getpid():
                    continue
                parents[int(entry)] = int(fields[1])
                here = os.readlink(f"/proc/{entry}/cwd") == str(self.home)  # the keeper's, too
                if here or self.mark.encode() in Path(f"/proc/{entry}/environ").read_bytes():
                    ours.add(int(entry))
        more = True
        while more:
            fresh = {pid for pid, parent in parents.items() if parent in ours} - ours
            ours |= fresh
            more = bool(fresh)
        return sorted(ours)

    def namespaces(self) -> int:
        """Namespaces that a process of ours is in and this one is not: none, when all is over."""
        mine = {os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}
        found = set()
        for pid in self.processes():
            with contextlib.suppress(OSError):
                for kind in os.listdir(f"/proc/{pid}/ns"):
                    found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
        return len(found - mine)

    def state(self) -> dict[str, object]:
        groups = [d for d, _, _ in os.walk("/sys/fs/cgroup")]
        system_v = [
            Path(f"/proc/sysvipc/{n}").read_text().count("\n") for n in ("shm", "sem", "msg")
        ]
        # what runs leave there on purpose: the probe's answers, compiled files, the record
        cache = {
            str(path.relative_to(self.home))
            for path in (self.home / "cache").rglob("*")
            if path.is_fifo() or path.is_socket() or path.name in ("page", "answers", "window")
        }
        return {
            "processes": len(self.processes()),
            "namespaces": self.namespaces(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "mounts": Path("/proc/self/mountinfo").read_text().count("\n"),
            "cgroups": len([g for g in groups if "belljar" in g]),
            "temporary": sorted(os.listdir(self.home / "tmp")),
            "channels": sorted(cache),
            "shared-memory": {n for n in os.listdir("/dev/shm") if "belljar" in n},
            "system-v": system_v,
        }


def free() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) // 1024
    return 0


def settle(machine: Machine, before: dict[str, object], patience: float) -> dict[str, object]:
    """What differs still, after a while. Others on the machine may make shared memory meanwhile:
    what counts is what stays."""
    end = time.monotonic() + patience
    stays = None
    while True:
        after = machine.state()
        fresh = after["shared-memory"] - before["shared-memory"]  # type: ignore[operator]
        stays = fresh if stays is None else stays & fresh
        after["shared-memory"] = before["shared-memory"] | stays  # type: ignore[operator]
        left = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.2)


def alive(machine: Machine, wanted: int) -> dict[str, object]:
    before, had = machine.state(), free()
    running: list[subprocess.Popen[bytes]] = []
    began = time.monotonic()
    waiting = 0
    while len(running) < wanted and free() > SPARE:
        running.append(
            subprocess.Popen(
                machine.words("--wall", "1h", "--stdin", "inherit", "-c", ALIVE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=machine.env,
                cwd=machine.home,
            )
        )
        while len(running) - waiting > 4:  # more at once would only queue for the processors
            waiting += said_up(running[waiting])
    for process in running[waiting:]:
        said_up(process)
    seconds = time.monotonic() - began
    at_once = sum(process.poll() is None for process in running)
    used = had - free()
    spaces = machine.namespaces()
    began = time.monotonic()
    for number, process in enumerate(running):
        if number % 3 == 1:
            process.send_signal(signal.SIGTERM)
        elif number % 3 == 2:
            process.kill()
    for process in running:
        process.communicate()
    ended = time.monotonic() - began
    # what a killed host could not remove, the next run does once it is old enough
    for path in (machine.home / "tmp").iterdir():
        os.utime(path, (10**9, 10**9))
    one(machine)
    left = settle(machine, before, 20)
    statuses = sorted({process.returncode for process in running})
    return {
        "wanted": wanted, "alive": at_once, "seconds to start": round(seconds, 1),
        "seconds to end": round(ended, 1), "memory each (KiB)": used * 1024 // max(at_once, 1),
        "namespaces": spaces, "statuses": statuses, "left": left,
    }  # fmt: skip


def said_up(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    if line != b"up\n":
        assert process.stderr is not None
        raise SystemExit(f"scale: a sandbox did not start: {process.stderr.read().decode()}")
    return 1


def one(machine: Machine) -> None:
    done = subprocess.run(
        machine.words("-c", "print(6 * 7)"),
        env=machine.env, cwd=machine.home, capture_output=True, check=False,
    )  # fmt: skip
    if done.stdout != b"42\n":
        raise SystemExit(f"scale: a sandbox failed: {done.stderr.decode()}")


def sequence(machine: Machine, wanted: int) -> dict[str, object]:
    one(machine)
    before, had, began = machine.state(), free(), time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in pool.map(lambda _: one(machine), range(wanted)):
            pass
    seconds = time.monotonic() - began
    left = settle(machine, before, 10)
    return {
        "runs": wanted, "seconds": round(seconds, 1), "a second": round(wanted / seconds, 1),
        "memory less (MiB)": had - free(), "left": left,
    }  # fmt: skip


def live(machine: Machine, wanted: int) -> dict[str, object]:
    """In this very process, which is to be as before: its descriptors, threads and memory, too."""
    os.environ.update(machine.env)
    import threading

    import belljar

    def ask(number: int) -> None:
        result = belljar.run(f"print({number}); {number} * 2", ledger="none")
        if (result.value, result.stdout) != (number * 2, b"%d\n" % number):
            raise RuntimeError(f"a sandbox failed: {result.ended_by} {result.error}")

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4

    for number in range(50):  # what stays on purpose: a template, the supervisor's thread
        ask(number)
    before, had, threads = machine.state(), resident(), threading.active_count()
    began = time.monotonic()
    numbers, done = iter(range(wanted)), list[int]()
    stopped: list[BaseException] = []

    def work() -> None:
        try:
            while not stopped and (number := next(numbers, None)) is not None:
                ask(number)
                done.append(number)
        except Exception as error:  # noqa: BLE001 - the others end as well; raised below
            stopped.append(error)

    def stop(*_signal: object) -> None:
        stopped.append(KeyboardInterrupt())

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)

    workers = [threading.Thread(target=work) for _ in range(os.cpu_count() or 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for error in stopped:
        if not isinstance(error, KeyboardInterrupt):
            raise error
    seconds = time.monotonic() - began
    left = settle(machine, before, 10)
    if threading.active_count() > threads:
        left["threads"] = (threads, threading.active_count())
    return {
        "runs": len(done), "seconds": round(seconds, 1),
        "a second": round(len(done) / seconds, 1),
        "memory more (KiB)": resident() - had, "left": left,
    }  # fmt: skip


def show(name: str, facts: dict[str, object]) -> dict[str, object]:
    print(name)
    for fact, value in facts.items():
        print(f"  {fact:<20}{value if value != {} else 'nothing'}", flush=True)
    return facts


def main() -> int:
    parser = argparse.ArgumentParser(description="many sandboxes, at once and in sequence")
    parser.add_argument("--alive", type=int, default=1000)
    parser.add_argument("--sequence", type=int, default=20000)
    parser.add_argument("--live", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    wanted = 8 * args.alive + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    figures: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(prefix="belljar-scale-", dir="/var/tmp") as home:
        machine = Machine(Path(home))
        if args.alive:
            one(machine)
            figures["at once"] = show("at once", alive(machine, args.alive))
        if args.sequence:
            figures["in sequence"] = show("in sequence", sequence(machine, args.sequence))
        if args.live:
            figures["live"] = show("live, in sequence", live(machine, args.live))
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1, default=sorted) + "\n")
    return 1 if any(facts["left"] for facts in figures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
