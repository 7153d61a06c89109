"""Random system calls from inside a sandbox: nothing may happen to the host.

    fuzz/syscalls.py [--minutes N] [--seed N] [--python PATH] [--enter "WORDS"]

Each round is a `belljar run` with native code granted (`ctypes`), in turn with and without
processes, whose guest (`syscalls_guest.py`) calls at random until it ends. Before the first round
and after each, the host is looked at: files with their modes, owners and times, a victim process,
listeners, mounts, host name, clock, limits, System V objects, queues, shared memory, network
devices, and processes or temporary files that are left. `--enter` puts words before the command:
that is how another tier is entered. With `--confine` a round is a program that confines itself
(`belljar.confine()`) instead; its children may outlive it, and are ended. Exit status 0: no effect.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import belljar

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())"]
OURS = os.path.join(os.path.dirname(belljar.__file__), "cli", "").encode()
MOST = 5_000_000
#: A round of `--confine`: the guest's program, behind its own walls.
CONFINED = """
import json, sys
import ctypes, mmap, os, random, signal, time, belljar
script, facts, place = sys.argv[1:]
fork = json.loads(facts)["fork"]
belljar.confine(
    read=[place + "/read", place + "/write"], write=[place + "/write"], ledger="none",
    wall="12s" if fork else "3s", cpu="10s", processes=32 if fork else 1,
    accept_partial=["output", "wall", *(["processes"] if fork else [])])
sys.argv[1:] = [facts]
exec(compile(SOURCE, script, "exec"))
"""
#: how a round may end: by the guest itself, a signal, a limit; never 125, that is Belljar's own
ENDS = {"exit", "signal", "wall", "cpu", "output", "memory", "lost", "kill"}


class Host:
    """A piece of a host, worth reaching for; `state()` is all that must not change."""

    def __init__(self, place: Path) -> None:
        self.place, self.calls = place, 0
        self.mark = f"fuzz-{os.getpid()}-{random.getrandbits(32):x}"
        for name in ("secret", "victim", "doomed"):
            (place / "prey" / name).parent.mkdir(exist_ok=True)
            (place / "prey" / name).write_text("canary\n")
        for name in ("read", "write", "home", "tmp"):
            (place / name).mkdir()
        (place / "read/notes").write_text("notes\n")
        self.victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "import time\ntime.sleep(1e6)"]
        )
        self.tcp, self.udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        self.local = socket.socket(socket.AF_UNIX)
        self.tcp.bind(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp.bind(("127.0.0.1", self.port))
        self.local.bind(str(place / "prey/socket"))
        for listener in (self.tcp, self.local):
            listener.listen()
        self.offset = time.time() - time.monotonic()

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        for one in (self.tcp, self.udp, self.local):
            one.close()

    def files(self) -> dict[str, tuple[object, ...]]:
        found = {}
        for folder in ("prey", "read"):
            for path in [self.place / folder, *(self.place / folder).rglob("*")]:
                stat = path.lstat()
                body = path.read_bytes() if path.is_file() else b""
                found[str(path)] = (
                    stat.st_mode, stat.st_uid, stat.st_gid, stat.st_nlink, stat.st_mtime_ns, body,
                    tuple(os.listxattr(path, follow_symlinks=False)),
                )  # fmt: skip
        return found

    def state(self) -> dict[str, object]:
        heard = select.select([self.tcp, self.udp, self.local], [], [], 0)[0]
        drift = abs(time.time() - time.monotonic() - self.offset)
        with open(f"/proc/{self.victim.pid}/limits", encoding="ascii") as file:
            limits = file.read()
        with open(f"/proc/{self.victim.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return {
            "files": self.files(),
            "victim": (self.victim.poll(), fields[15], fields[16], limits),
            "heard": [one.fileno() for one in heard],
            "mounts": Path("/proc/self/mountinfo").read_text(),
            "names": os.uname(),
            "clock": drift < 0.5,
            "own-limits": [resource.getrlimit(n) for n in range(16)],
            "system-v": [
                Path(f"/proc/sysvipc/{n}").read_text().count("\n") for n in ("shm", "sem", "msg")
            ],
            # not those of other programs that run meanwhile, Belljar's own hosts among them
            "shared-memory": [
                name
                for name in sorted(os.listdir("/dev/shm"))
                if not name.startswith(("belljar-", "sem.", "psm_"))
            ],
            "devices": sorted(os.listdir("/sys/class/net")),
            "cgroup": Path("/proc/self/cgroup").read_text(),
            "modules": Path("/proc/sys/kernel/tainted").read_text(),
            "set-id": [
                str(p) for p in (self.place / "write").rglob("*") if p.lstat().st_mode & 0o6000
            ],
            "special": [
                str(p) for p in (self.place / "write").rglob("*")
                if p.lstat().st_mode & 0o170000 not in (0o100000, 0o040000, 0o120000)
            ],
            "temporary": sorted(os.listdir(self.place / "tmp")),
        }  # fmt: skip

    def survivors(self) -> list[int]:
        """Processes with the mark of a guest in their environment or words."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{entry}/environ").read_bytes()
                    words += Path(f"/proc/{entry}/cmdline").read_bytes()
                    if self.mark.encode() in words:
                        found.append(int(entry))
        return found


def one_round(host: Host, seed: int, args: argparse.Namespace, fork: bool) -> str:
    """How it ended. Raises `AssertionError` with what happened to the host."""
    result = host.place / "result.json"
    facts = {
        "seed": seed, "seconds": 8 if fork else 1.5, "fork": fork, "port": host.port,
        "mark": host.mark, "count": str(host.place / "write/count"),
        "pids": [host.victim.pid, os.getpid(), 1, 2, 3, -1, 0],
        "paths": [str(host.place / n) for n in ("prey/secret", "prey/victim", "prey/doomed", "prey",
                  "prey/socket", "read", "read/notes", "write", "write/new")],
    }  # fmt: skip
    subprocess.run(["/bin/rm", "-rf", str(host.place / "write")], check=True)
    count = host.place / "write/count"
    count.parent.mkdir()
    count.write_bytes(bytes(8))
    os.chmod(count, 0o666)  # noqa: S103 (in tiers where the guest is another user)
    words = ["--result", str(result), "--ledger", "none", "--quiet", "--import", "ctypes"]
    words += ["--wall", "12s" if fork else "3s", "--cpu", "10s", "--env", f"MARK={host.mark}"]
    for right, name in (("read", "read"), ("read", "write"), ("write", "write")):
        words += [f"--{right}", str(host.place / name)]
    words += ["--output", "1MiB", *(["--processes", "32"] if fork else [])]
    words += [str(HERE / "syscalls_guest.py"), json.dumps(facts)]
    env = {
        "PATH": "/usr/bin:/bin", "HOME": str(host.place / "home"), "LANG": "C.UTF-8",
        "TMPDIR": str(host.place / "tmp"), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "PYTHONDONTWRITEBYTECODE": "1", "BELLJAR_CLERK": "none",
    }  # fmt: skip
    command = [*COMMAND, "run", *words]
    if args.confine:
        script = HERE / "syscalls_guest.py"
        code = f"SOURCE = {script.read_text()!r}\n{CONFINED}"
        command = [sys.executable, "-c", code, str(script), json.dumps(facts), str(host.place)]
        env["MARK"] = host.mark
    # a pipe would stay open where children live on; read by a descriptor that is not the guest's
    with open(host.place / "told", "wb") as told:
        process = subprocess.Popen(
            [*shlex.split(args.enter), *command],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("belljar hung") from None
    with open(host.place / "told", "rb") as told:
        told.seek(max(0, told.seek(0, os.SEEK_END) - 65536))
        err = told.read()
    assert OURS not in err, repr(err[-2000:])  # a traceback of the host's own
    assert process.returncode != 125, repr(err[-300:])
    if args.confine:
        end = "exit" if process.returncode >= 0 else "signal"
        assert process.returncode != 1, repr(err[-2000:])  # it did not begin
        for pid in host.survivors():
            os.kill(pid, signal.SIGKILL)
    else:
        end = json.loads(result.read_text())["ended-by"]
    assert end in ENDS, end
    if count.is_file() and not count.is_symlink():
        made = int.from_bytes(count.read_bytes()[:8], "little")
        host.calls += made if made < MOST else 0  # the guest may have written there at random
    result.unlink(missing_ok=True)
    deadline = time.monotonic() + 3
    while host.survivors() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not host.survivors(), f"survivors: {host.survivors()}"
    return end


def main() -> int:
    parser = argparse.ArgumentParser(description="random system calls from inside a sandbox")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--enter", default="", help="words before the command, for another tier")
    parser.add_argument("--no-fork", action="store_true", help="one process a round only")
    parser.add_argument("--confine", action="store_true", help="programs that confine themselves")
    args = parser.parse_args()
    ends: dict[str, int] = {}
    rounds, problems = 0, 0
    with tempfile.TemporaryDirectory(prefix="belljar-fuzz-", dir="/var/tmp") as place:
        os.chmod(place, 0o755)  # noqa: S103 (the guest must be stopped by a wall)
        host = Host(Path(place))
        one_round(host, args.seed, args, False)  # makes the private directories
        before = host.state()
        until = time.monotonic() + args.minutes * 60
        while time.monotonic() < until:
            rounds += 1
            seed = args.seed + rounds
            try:
                end = one_round(host, seed, args, not args.no_fork and rounds % 4 != 0)
                ends[end] = ends.get(end, 0) + 1
                after = host.state()
                changed = {k: (before[k], after[k]) for k in before if before[k] != after[k]}
                assert not changed, f"the host changed: {changed}"
            except AssertionError as error:
                problems += 1
                print(f"syscalls: seed {seed}: {error}", flush=True)
                before = host.state()
        host.close()
    told = ", ".join(f"{end} {count}" for end, count in sorted(ends.items()))
    print(
        f"syscalls: {rounds} rounds ({told}), {host.calls} calls, "
        f"{problems} with an effect, first seed {args.seed + 1}"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
