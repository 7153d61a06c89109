"""The tiers that can be had here, and how to run a `belljar` in each.

The truth table's names for them: (a) `root` runs as we are. (b) `user` is demoted to an
unprivileged number, with an interpreter that this user can reach (a copy by hard links of ours,
where ours lies in somebody's home). (c) `landlock` is the same user inside a user namespace that
may make none itself. (d) `container` is user 0 as in a default container: `container.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import msgspec

import belljar

NOBODY = 65534
CONTAINER = Path(__file__).with_name("container.py")
MAIN = "import sys; from belljar.cli import main; sys.exit(main())"
if os.environ.get("BELLJAR_TEST_ENGINE") == "template":  # the same tests, of guests that are forked
    from templated import MAIN
# Every user namespace beneath this one is refused from here on, and exec drops the capabilities.
WITHOUT_NAMESPACES = """
import ctypes, os, sys
uid, gid = os.getuid(), os.getgid()
if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):
    sys.exit(99)
for name, text in (
    ("self/setgroups", "deny"),
    ("self/uid_map", f"{uid} {uid} 1"),
    ("self/gid_map", f"{gid} {gid} 1"),
    ("sys/user/max_user_namespaces", "0"),
):
    with open(f"/proc/{name}", "w") as file:
        file.write(text)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Tier:
    """`command()` are the words before `run`; `home` belongs to the user it runs as."""

    def __init__(self, name: str, base: Path) -> None:
        self.name = name
        #: what the receipt calls it
        self.kind = "landlock" if name == "container" else name
        self.home = base / f"home-{name}"
        self.temporary = self.home / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.demoted = name not in ("root", "container") and os.geteuid() == 0
        self.python = sys.executable
        self.path = [p for p in sys.path if p]
        if self.demoted:
            self.python, self.path = reachable(base)
            for path in (self.home, self.temporary):
                os.chown(path, NOBODY, NOBODY)
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(self.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BELLJAR_CLERK": "none",  # it outlives the run on purpose: no survivor of a guest
        }

    @property
    def identity(self) -> dict[str, object]:
        """What `subprocess` needs to become the tier's user."""
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if self.demoted else {}

    def enter(self) -> list[str]:
        """The words that make of this machine one of the tier, and execute those that follow."""
        if self.name == "landlock":
            return [self.python, "-I", "-S", "-c", WITHOUT_NAMESPACES]
        if self.name == "container":
            return [self.python, "-I", "-S", str(CONTAINER)]
        return []

    def command(self) -> list[str]:
        return [*self.enter(), self.python, "-c", MAIN]

    def start(self, *words: str, **more: object) -> subprocess.Popen[bytes]:
        more.update(self.identity)
        command = more.pop("words", None) or self.command()
        for name in ("stdout", "stderr"):
            more.setdefault(name, subprocess.PIPE)
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [*command, *words],
            env=self.env,
            cwd=self.home,
            start_new_session=True,
            **more,
        )

    def own(self, path: Path) -> Path:
        """Give a file that the test made to the tier's user."""
        if self.demoted:
            os.chown(path, NOBODY, NOBODY)
        return path


def reachable(base: Path) -> tuple[str, list[str]]:
    """An interpreter and import path that any user can read: ours, or a copy by hard links."""
    root = base / "py"
    source = Path(belljar.__file__).parent
    packages = root / "packages"
    if not root.exists():
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        library = Path(os.__file__).parent
        skip = shutil.ignore_patterns("site-packages", "test", "tests", "config-*", "idlelib")
        shutil.copytree(library, root / "lib" / version, copy_function=link_or_copy, ignore=skip)
        for entry in sys.path:
            if entry.endswith("lib-dynload") and not entry.startswith(str(library)):
                shutil.copytree(
                    entry, root / "lib" / version / "lib-dynload", copy_function=link_or_copy
                )
        (root / "bin").mkdir()
        place_binary(Path(os.path.realpath(sys.executable)), root / "bin" / version)
        for shared in (Path(sys.base_prefix) / "lib").glob("libpython*.so*"):
            link_or_copy(str(shared), str(root / "lib" / shared.name))
        shutil.copytree(Path(msgspec.__file__).parent, packages / "msgspec")
        shutil.copytree(source, packages / "belljar")
    return str(next((root / "bin").iterdir())), [str(packages)]


def place_binary(source: Path, target: Path) -> None:
    """The interpreter itself; where it names its library's directory, it names the copy's."""
    data = source.read_bytes()
    old = os.path.join(sys.base_prefix, "lib").encode()
    new = str(target.parent.parent / "lib").encode()
    if old in data and sys.base_prefix != "/usr":  # that one is everybody's to read
        assert len(new) <= len(old), "the copy's path must not be longer"
        data = data.replace(old, new.ljust(len(old), b"\0"))
    target.write_bytes(data)
    target.chmod(0o755)


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copy2(source, target)


def places() -> Iterator[Path]:
    """A directory outside /tmp that every user can reach."""
    base = Path(mkdtemp(prefix="bj-", dir="/var/tmp"))
    base.chmod(0o755)
    yield base
    shutil.rmtree(base)


def processes(session: int, mark: str) -> list[int]:
    """What still runs of a `belljar` that led `session`, or has `mark` in its environment."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with suppress(OSError):
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            if fields[0] in "ZX":
                continue
            if (
                int(fields[3]) == session
                or mark.encode() in Path(f"/proc/{entry}/environ").read_bytes()
            ):
                found.append(int(entry))
    return found
