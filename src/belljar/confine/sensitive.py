"""Files inside a write grant that something outside will later obey or execute.

A guest that may write a project must not thereby write the project's git hooks, its interpreter
or the policy of its own next run. What exists is shown read-only unless a grant names it; what
does not exist cannot be covered by a mount, so the end of the run tells what appeared.
"""

from __future__ import annotations

import os

from belljar.errors import PolicyError
from belljar.model import Grant

#: Looked for in the top directory of every write grant, and in the working directory.
NAMES = (
    ".git/hooks", ".git/config", ".venv", "venv", "pyproject.toml", ".pre-commit-config.yaml",
    "Makefile", "conftest.py", "sitecustomize.py", ".envrc", ".vscode", ".github",
)  # fmt: skip


def places(grants: tuple[Grant, ...], cwd: str, also: tuple[str, ...] = ()) -> list[str]:
    """Absolute host paths to protect, whether they exist or not; none that a grant names."""
    roots = [g.target for g in grants if g.right == "write" and g.source in ("", g.target)]
    found: dict[str, None] = {}
    for root in roots:
        folders = [root]
        if beneath(cwd, root):
            folders.append(cwd)
        for folder in folders:
            for name in NAMES:
                found[os.path.join(folder, name)] = None
        for path in also:
            if beneath(path, root):
                found[path] = None
    return [path for path in found if not any(beneath(root, path) for root in roots)]


def check_own(grants: tuple[Grant, ...], own: tuple[str, ...]) -> None:
    """Raise `PolicyError` where a write grant covers a directory of Belljar's own."""
    for grant in grants:
        if grant.right == "write":
            source = os.path.realpath(grant.source or grant.target)
            for path in own:
                real = os.path.realpath(path)
                if beneath(real, source) or beneath(source, real):
                    raise PolicyError(
                        grant.origin,
                        f"write = {grant.target}: holds Belljar's own files ({real}), which no "
                        f"guest may write; grant less, or move them (--ledger, XDG_CACHE_HOME)",
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
    return (
        stat.st_dev,
        stat.st_ino,
        stat.st_mode,
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
    )


def remember(cache: str, path: str) -> None:
    """Note that a guest wrote `path`, so that no later run takes it for its owner's."""
    stat = os.lstat(path)
    with open(_note(cache, path), "w", encoding="ascii") as file:
        file.write(f"{stat.st_dev}:{stat.st_ino}")


def distrust(cache: str | None, path: str, remedy: str) -> None:
    """Raise `PolicyError` when `path`, found and not named, was written by a guest."""
    if cache is None:
        return
    if not any(name.startswith("planted-") for name in os.listdir(cache)):
        return
    try:
        with open(_note(cache, path), encoding="ascii") as file:
            noted = file.read()
        stat = os.lstat(path)
    except FileNotFoundError:
        return  # no guest wrote it, or it is gone
    if noted == f"{stat.st_dev}:{stat.st_ino}":
        raise PolicyError(path, f"written by a guest in an earlier run; review it, then {remedy}")


def _note(cache: str, path: str) -> str:
    import hashlib  # rarely needed: only after a guest wrote such a file

    return os.path.join(cache, "planted-" + hashlib.sha256(os.fsencode(path)).hexdigest())
