"""The stage of an attack: a throwaway piece of a host, with things worth reaching for.

`Stage` lays it out, `Services` listens, and `observe()` tells what an attack did to it, looked at
from outside and never from what the attack claims (but for EFFECT, which is a claim to refute).
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent


class Services:
    """Listeners of the host. `heard` holds what reached each one that no grant names."""

    def __init__(self, stage: Path, nonce: str) -> None:
        self.heard: list[str] = []
        self._nonce = nonce.encode()
        self._stop = False
        self._drained = threading.Event()
        self._named: dict[int, str] = {}
        self._open: list[socket.socket] = []
        self.tcp = self._listen(socket.AF_INET, ("127.0.0.1", 0), "tcp")
        self.granted = self._listen(socket.AF_INET, ("127.0.0.1", 0), "")
        self._listen(socket.AF_INET, ("127.0.0.2", self.granted), "other address")
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self._add(udp, "udp")
        self.udp = udp.getsockname()[1]
        self.unix = str(stage / "data/sock")
        self._listen(socket.AF_UNIX, self.unix, "unix")
        self.abstract = f"belljar-{nonce}"
        self._listen(socket.AF_UNIX, "\0" + self.abstract, "abstract")
        self.fifo = str(stage / "data/fifo")
        os.mkfifo(self.fifo, 0o666)
        self._fifo = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.full = self._full()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _add(self, one: socket.socket, name: str) -> None:
        self._open.append(one)
        self._named[one.fileno()] = name

    def _listen(self, family: int, address: object, name: str) -> int:
        one = socket.socket(family)
        one.bind(address)
        one.listen(16)
        self._add(one, name)
        return one.getsockname()[1] if family == socket.AF_INET else 0

    def _full(self) -> int:
        """A port whose queue is full: connecting to it neither succeeds nor fails."""
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        one.listen(0)
        self._open.append(one)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(one.getsockname())
            self._open.append(filler)
        return one.getsockname()[1]

    def _serve(self) -> None:
        taken: dict[int, tuple[socket.socket, str]] = {}
        while not self._stop:
            ready, _, _ = select.select([*self._named, *taken, self._fifo], [], [], 0.05)
            quiet = True
            for fd in ready:
                quiet = quiet and fd == self._fifo
                if fd in self._named and self._named[fd] != "udp":
                    one = next(s for s in self._open if s.fileno() == fd)
                    peer, _ = one.accept()
                    taken[peer.fileno()] = (peer, self._named[fd])
                    if self._named[fd]:
                        self.heard.append(f"{self._named[fd]}: connected")
                    continue
                try:
                    data = os.read(fd, 65536)
                except ConnectionResetError:
                    data = b""
                if fd in taken:
                    peer, name = taken[fd]
                    if data and not name:
                        peer.sendall(data)  # the granted one echoes
                    if not data:
                        del taken[fd]
                        peer.close()
                else:
                    name = "fifo" if fd == self._fifo else "udp"
                quiet = quiet and not data
                if data and name:
                    self.heard.append(f"{name}: {data[:40]!r}")
                elif fd == self._fifo:
                    time.sleep(0.01)  # nobody writes: its end of file comes again and again
            if quiet:
                self._drained.set()
        for peer, _ in taken.values():
            peer.close()

    def settle(self) -> None:
        """Wait until everything that was sent so far has been heard."""
        for _ in range(2):  # the first may be of a look that began before
            self._drained.clear()
            assert self._drained.wait(20)

    def close(self) -> None:
        self._stop = True
        self._thread.join(5)
        for one in self._open:
            one.close()
        os.close(self._fifo)


class Stage:
    """The tree, the services and a victim process. Attacks know `facts`."""

    def __init__(self, base: Path, case: Path, library: Path) -> None:
        self.token = secrets.token_hex(12)
        self.nonce = str(secrets.randbelow(10**9) + 10**9)
        self.root = base / f"stage-{secrets.token_hex(4)}"
        for name in ("work", "home", "data/deep", "out", "other", "next"):
            (self.root / name).mkdir(parents=True)
        self.root.chmod(0o755)
        work = self.root / "work"
        for file in [HERE / "arms.py", *case.glob("*.py")]:
            shutil.copy(file, work / file.name)
        shutil.copy(HERE / "neighbour.py", self.root / "next/neighbour.py")
        self.secret = self.root / "home/secret.txt"
        self.secret.write_text(f"{self.token}\n")
        (self.root / "data/notes.txt").write_text("notes\n")
        (self.root / "data/deep/more.txt").write_text("more\n")
        (self.root / "data/link").symlink_to(self.secret)
        (self.root / "data/linkdir").symlink_to(self.root / "home")
        (self.root / "other/victim.txt").write_text(f"{self.token}\n")
        (self.root / "other/one.conf").write_text("x = 1\n")
        shutil.copy(library, self.root / "data/native.so")
        self.services = Services(self.root, self.nonce)
        self.victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "import time; time.sleep(100)"]
        )
        self.facts = {
            "secret": str(self.secret),
            "home": str(self.root / "home"),
            "data": str(self.root / "data"),
            "out": str(self.root / "out"),
            "other": str(self.root / "other"),
            "nonce": self.nonce,
            "work": str(work),
            "pid": self.victim.pid,
            "near": os.getpid(),
            "python": os.path.realpath(sys.executable),
            "hostname": os.uname().nodename,
            "libc": os.path.dirname(os.__file__),
            "fd": -1,
            **{
                n: getattr(self.services, n)
                for n in ("tcp", "udp", "granted", "full", "unix", "abstract", "fifo")
            },
        }
        self.look()

    def look(self) -> None:
        """What is there now is how it was before the attack."""
        self._before = self._fingerprint()

    def fill(self, text: str) -> str:
        for name, value in self.facts.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def _fingerprint(self) -> dict[str, tuple[object, ...]]:
        """Everything about every file but what lies in the write grant."""
        found = {}
        for folder, names, files in os.walk(self.root):
            if folder == str(self.root / "out"):
                names.clear()
                continue
            for name in [".", *files]:
                path = os.path.join(folder, name)
                s = os.lstat(path)
                body = b""
                if stat.S_ISREG(s.st_mode):
                    body = Path(path).read_bytes()
                extra = os.listxattr(path, follow_symlinks=False)
                found[path] = (
                    s.st_mode,
                    s.st_uid,
                    s.st_gid,
                    s.st_nlink,
                    s.st_mtime_ns,
                    body,
                    extra,
                )
        return found

    def observe(self, stdout: str, patience: float = 0) -> dict[str, object]:
        """The effects that are seen, by name; empty when there is none."""
        time.sleep(patience)
        seen: dict[str, object] = {}
        if any(line == "EFFECT" for line in stdout.splitlines()):
            seen["said"] = stdout[-200:]
        if self.token in stdout:
            seen["leaked"] = stdout[-200:]
        after = self._fingerprint()
        if after != self._before:
            keys = after.keys() | self._before.keys()
            seen["changed"] = sorted(k for k in keys if after.get(k) != self._before.get(k))
        planted = [p for p in (self.root / "out").rglob("*") if _is_dangerous(p)]
        if planted:
            seen["planted"] = planted
        self.services.settle()
        if self.services.heard:
            seen["reached"] = self.services.heard
        if self.victim.poll() is not None:
            seen["killed"] = self.victim.returncode
        alive = self.survivors()
        if alive:
            seen["survived"] = alive
        beat = self.root / "out/beat"
        if beat.exists():
            size = beat.stat().st_size
            time.sleep(0.3)
            if beat.stat().st_size != size:
                seen["survived"] = "heartbeat"
        return seen

    def survivors(self) -> list[int]:
        """Processes of the attack that still run: those whose command line has the nonce."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                try:
                    words = Path(f"/proc/{entry}/cmdline").read_bytes()
                except OSError:
                    continue
                if self.nonce.encode() in words:
                    found.append(int(entry))
        return found

    def kill_survivors(self) -> None:
        for pid in self.survivors():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def close(self) -> None:
        self.kill_survivors()
        self.victim.kill()
        self.victim.wait()
        self.services.close()
        subprocess.run(["/bin/rm", "-rf", str(self.root)], check=True)


def _is_dangerous(path: Path) -> bool:
    mode = path.lstat().st_mode
    plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
    return not plain or bool(mode & (stat.S_ISUID | stat.S_ISGID))
