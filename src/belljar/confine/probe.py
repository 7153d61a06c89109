"""Ask the machine: build a sandbox, try every forbidden thing in it, see it fail.

Each attempt is made outside first. `Facts` keeps both answers; they are cached per boot, kernel,
user and version of Belljar, since none of them changes without one of those.
"""

from __future__ import annotations

import os
import select
import time

from belljar import __version__
from belljar._native import KEEPER, landlock_abi
from belljar.confine.keeper import Keeper, refusal
from belljar.confine.words import encode, tier_words
from belljar.errors import InternalError, Unenforceable
from belljar.model import Value

TIERS = ("root", "user", "landlock")


class Facts(Value):
    """What was tried: name -> (error outside, error inside); 0 means that it succeeded."""

    tier: str
    abi: int
    tried: dict[str, tuple[int, int]]
    why: tuple[str, ...] = ()  # why each better tier could not be had
    ended_ms: int = -1  # how long a sleeping guest took to end when told to

    def refused(self, *names: str) -> bool:
        """True when every attempt failed inside, and at least one of them worked outside: what
        cannot be done on this machine at all is no proof, and no hole either."""
        if any(name not in self.tried for name in names):
            return False
        outside = [self.tried[name][0] for name in names]
        return 0 in outside and all(self.tried[name][1] != 0 for name in names)


def probe(cache: str | None, tier: str | None = None) -> Facts:
    """The facts of this machine, from the cache or by trying. `tier` insists on one.

    Raises `Unenforceable` when not even the weakest tier can be built.
    """
    key = _key(tier)
    if cache:
        try:
            path = os.path.join(cache, key)
            stat = os.stat(path)
            state = (path, stat.st_ino, stat.st_mtime_ns, stat.st_size)
            for known, facts in _known:
                if known == state:
                    return facts
            with open(path, encoding="utf-8") as file:
                facts = _read(file.read())
            _known[:] = [(state, facts)]
            return facts
        except (FileNotFoundError, ValueError):
            pass  # never asked on this boot, or written by another version
    facts = _ask(tier)
    if cache:
        temporary = os.path.join(cache, f"{key}.{os.getpid()}.{os.urandom(4).hex()}")
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(_write(facts))
        os.replace(temporary, os.path.join(cache, key))
    return facts


_boot: list[str] = []


#: The state of the file that was read last, and what it says.
_known: list[tuple[tuple[object, ...], Facts]] = []


def machine() -> str:
    """What the facts are kept by: while it is the same, so are they."""
    return _key(None)


def _key(tier: str | None) -> str:
    if not _boot:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            _boot.append(file.read().strip())
    boot = _boot[0]
    stat = os.stat(KEEPER)
    # the namespace and the sysctl decide as much as the user does
    space = os.readlink("/proc/self/ns/user").strip("user:[]")
    return "-".join(
        (
            "probe",
            boot,
            space,
            str(os.geteuid()),
            tier or "best",
            __version__,
            str(stat.st_ino),
            str(stat.st_mtime_ns),
            _capabilities(),
        )
    )


def _capabilities() -> str:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        text = file.read()
    at = text.find("CapEff:")
    limit = "0"
    try:
        with open("/proc/sys/user/max_user_namespaces", encoding="ascii") as file:
            limit = "1" if int(file.read()) else "0"
    except FileNotFoundError:
        limit = "x"
    return text[at + 7 : at + 24].strip() + limit


def _can_administer() -> bool:
    return os.geteuid() == 0 and bool(int(_capabilities()[:16], 16) >> 21 & 1)  # CAP_SYS_ADMIN


def _ask(tier: str | None) -> Facts:
    reasons: list[str] = []
    for candidate in (tier,) if tier else TIERS:
        if candidate == "root" and not _can_administer():
            continue
        if candidate == "user" and os.geteuid() == 0 and not tier:
            continue  # as root the choice is root's tier or none: host user 0 is never mapped
        try:
            tried, ended = _try(candidate)
        except Unenforceable as error:
            reasons.append(f"{candidate}: {error.cause}")
            continue
        return Facts(candidate, landlock_abi(), tried, tuple(reasons), ended)
    raise Unenforceable(
        "files", "; ".join(reasons), "use a Linux kernel of 5.13 or newer with Landlock and seccomp"
    )


def _try(tier: str) -> tuple[dict[str, tuple[int, int]], int]:
    with Canary() as canary:
        go_out, go_in = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        keeper = Keeper((null, null, null), go_out)
        keeper.tier(tier_words(tier))
        keeper.build(_words(tier, canary))
        for fd in (go_out, go_in, null):
            os.close(fd)
        try:
            return _listen(keeper)
        finally:
            keeper.close()


def _listen(keeper: Keeper) -> tuple[dict[str, tuple[int, int]], int]:
    outside: dict[str, int] = {}
    inside: dict[str, int] = {}
    poll = select.poll()
    poll.register(keeper.report, select.POLLIN)
    deadline = time.monotonic() + 20
    asked_to_end = 0.0
    ended = -1
    while not keeper.ended:
        if not poll.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            raise InternalError("the probe does not end")
        for line in keeper.read():
            if line[0] == "error":
                raise refusal(line)
            if line[0] == "outside":
                outside[line[1]] = int(line[2])
            elif line[0] == "inside" and line[1] == "done":
                asked_to_end = time.monotonic()  # it sleeps now: the end must come from outside
                keeper.kill()
            elif line[0] == "inside":
                inside[line[1]] = int(line[2])
            elif line[0] == "end" and asked_to_end:
                ended = int((time.monotonic() - asked_to_end) * 1000)
    if not inside or inside.keys() != outside.keys():
        raise InternalError("the probe was cut short")
    return {name: (outside[name], inside[name]) for name in outside}, ended


class Canary:
    """A host directory with things worth reaching for, and listeners on loopback."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder

    def __enter__(self) -> Canary:
        import socket
        import tempfile

        self.path = tempfile.mkdtemp(prefix="belljar-probe-", dir=self._folder)
        os.chmod(self.path, 0o755)  # noqa: S103 (the guest must be stopped by a wall, not by a mode)
        for name in ("secret", "victim", "doomed"):
            with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
                file.write("canary\n")
        scratch = os.path.join(self.path, "scratch")
        os.mkdir(scratch)
        os.chmod(scratch, 0o777)  # noqa: S103 (as above)
        self.sockets = [
            socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        ]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.port = self.sockets[0].getsockname()[1]
        self.sockets[1].bind(("127.0.0.1", 0))
        self.sockets.append(socket.socket(socket.AF_UNIX))
        self.sockets[2].bind(os.path.join(self.path, "socket"))
        for listener in (self.sockets[0], self.sockets[2]):
            listener.listen(8)
        return self

    def __exit__(self, *_: object) -> None:
        import shutil

        for one in self.sockets:
            one.close()
        shutil.rmtree(self.path)


def _words(tier: str, canary: Canary) -> bytes:
    words: list[str] = []
    if tier == "landlock":
        cwd = "/"  # and one rule, for what a real run has in its private directory
        words += ("land", canary.path + "/scratch", "rlw")
    else:
        words += ("tmpfs", "/tmp", "size=4m,mode=1777", "land", "/tmp", "rlw", "allow", "metadata")
        words += ("limit", "nproc", "16", "16")
        cwd = "/tmp"
    bounds = (("data", 64 << 20), ("nofile", 32), ("core", 1), ("cpu", 30), ("fsize", 2 << 20))
    for name, value in bounds:
        words += ("limit", name, str(value), str(value))
    words += ("cwd", cwd, "probe", canary.path, str(canary.port))
    return encode(words)


def _write(facts: Facts) -> str:
    rows = [f"{n} {o} {i}" for n, (o, i) in facts.tried.items()]
    return "\n".join([facts.tier, str(facts.abi), str(facts.ended_ms), *rows, "--", *facts.why])


def _read(text: str) -> Facts:
    lines = text.split("\n")
    end = lines.index("--")
    if lines[0] not in TIERS or end < 4:
        raise ValueError("not a probe")
    tried = {}
    for line in lines[3:end]:
        name, outside, inside = line.split(" ")
        tried[name] = (int(outside), int(inside))
    return Facts(lines[0], int(lines[1]), tried, tuple(lines[end + 1 :]), int(lines[2]))
