"""Files inside a write grant that something outside will later obey or execute.

A guest that may write a project must not thereby write the project's git hooks, its interpreter,
Belljar itself or the policy of its own next run. What exists is shown read-only unless a grant
names it; what does not exist cannot be covered by a mount, so the end of the run tells what
appeared. `confine/distrust.py` keeps later runs from obeying it.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import PolicyError
from belljar.model import Grant, Value

#: Looked for in the top directory of every write grant, and in the working directory.
NAMES = (
    ".git", ".venv", "venv", "pyproject.toml", ".pre-commit-config.yaml",
    "Makefile", "conftest.py", "sitecustomize.py", ".envrc", ".vscode", ".github",
)  # fmt: skip

#: Wherever they lie: read by a shell, an interpreter, a build, or run by git.
_RUN = frozenset(
    (*NAMES, "makefile", "GNUmakefile", "usercustomize.py", "setup.py", "setup.cfg", "tox.ini",
     "noxfile.py", "pytest.ini", "package.json", ".ssh", ".bashrc", ".bash_profile", ".bash_login",
     ".bash_logout", ".profile", ".zshrc", ".zprofile", ".zshenv", ".zlogin", ".kshrc", ".cshrc",
     ".tcshrc", ".login", ".inputrc", ".vimrc", ".exrc", ".pythonrc", ".pdbrc", ".pypirc",
     ".gitconfig", ".gitattributes", ".gitmodules", ".husky", ".npmrc", "autostart", "crontab",
     "hooks", ".netrc", ".hgrc")
)  # fmt: skip


def obeyed(path: str) -> bool:
    """Whether something outside may execute or obey a file of this name, by a list of names.

    >>> obeyed("src/.git/hooks/pre-commit"), obeyed("lib/x.pth"), obeyed("notes.txt")
    (True, True, False)
    """
    parts = path.split("/")
    return not _RUN.isdisjoint(parts) or parts[-1].endswith((".pth", ".service", ".desktop"))


class Place(Value):
    """A path by the guest's name and by the host's, and the host's directories above it, down
    from the grant that holds it, each as (guest, host)."""

    guest: str
    host: str
    above: tuple[tuple[str, str], ...]


def places(grants: tuple[Grant, ...], cwd: str, also: tuple[str, ...] = ()) -> list[Place]:
    """What is to be protected, whether it exists or not; nothing that a grant names."""
    roots = [
        (g.target, os.path.realpath(g.source or g.target)) for g in grants if g.right == "write"
    ]
    named = {target for target, _ in roots}
    found: dict[str, Place] = {}
    here = os.path.realpath(cwd)
    for target, root in roots:
        folders = [root] + ([here] if beneath(here, root) else [])
        hosts = [os.path.join(folder, name) for folder in folders for name in NAMES]
        hosts += [path for path in map(os.path.realpath, also) if beneath(path, root)]
        for host in hosts:
            relative = os.path.relpath(host, root)
            guest = target if relative == "." else os.path.join(target, relative)
            if guest not in named:  # a grant of one thing inside leaves the rest protected
                found[guest] = Place(guest, host, _between(target, root, relative))
    return list(found.values())


def _between(target: str, root: str, relative: str) -> tuple[tuple[str, str], ...]:
    parts = relative.split("/")[:-1]
    steps = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    return tuple((os.path.join(target, step), os.path.join(root, step)) for step in steps)


def ours(runtime_site: tuple[str, ...], program: str) -> tuple[str, ...]:
    """What runs outside the sandbox or is the runtime of the next one: Belljar, the environment
    it is installed in, and the environment that the guest runs on."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    base = sys.base_prefix
    own = [package, os.path.dirname(program), *runtime_site, os.path.dirname(os.__file__)]
    for site in (*runtime_site, package):  # .../ENV/lib/python3.X/site-packages
        top = os.path.dirname(os.path.dirname(os.path.dirname(site)))
        if os.path.exists(os.path.join(top, "pyvenv.cfg")):
            own.append(top)
    if sys.prefix != base:
        own.append(sys.prefix)
    return tuple(own)


def check_own(grants: tuple[Grant, ...], own: tuple[str, ...]) -> None:
    """Raise `PolicyError` where a write grant covers, or lies in, a directory that no guest may
    write: Belljar's record, cache and channel; without mounts also Belljar and the runtime."""
    for grant in grants:
        if grant.right in ("write", "append"):
            source = os.path.realpath(grant.source or grant.target)
            for path in own:
                real = os.path.realpath(path)
                if beneath(real, source) or beneath(source, real):
                    raise PolicyError(
                        grant.origin,
                        f"{grant.right} = {grant.target}: holds Belljar's own files ({real}), "
                        f"which no guest may write; grant less, or move them (--ledger, TMPDIR, "
                        f"XDG_CACHE_HOME)",
                    )


def beneath(path: str, root: str) -> bool:
    """True for `root` itself and everything below it, by their letters."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def signature(path: str) -> tuple[int, ...] | None:
    """What changes when a file is replaced or written; None where there is none."""
    try:
        stat = os.lstat(path)
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino, stat.st_mode, stat.st_size, stat.st_ctime_ns)
