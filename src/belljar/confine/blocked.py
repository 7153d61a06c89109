"""Where the files of blocked modules lie (`block = ["xml"]`)."""

from __future__ import annotations

import os

from belljar.confine.runtime import Runtime
from belljar.policy.modules import UNSAFE_MODULES, normal


def blocked_places(block: tuple[str, ...], runtime: Runtime) -> tuple[set[str], set[str]]:
    """(files, directories) in the runtime that hold the modules called so, compiled ones among
    them. What is built into the interpreter or frozen has no file."""
    files: set[str] = set()
    folders: set[str] = set()
    for name in (*block, *(m for m, grant in UNSAFE_MODULES.items() if grant in block)):
        *above, last = name.split(".")
        places = [root for root in (runtime.stdlib, runtime.dynload, *runtime.site) if root]
        for package in above:
            places = [path for place in places for path in _packages(place, normal(package))]
        for place in places:
            _look(place, normal(last), files, folders)
    return files, folders


def _packages(folder: str, name: str) -> list[str]:
    paths = (os.path.join(folder, entry) for entry in os.listdir(folder) if normal(entry) == name)
    return [path for path in paths if os.path.isdir(path) and not os.path.islink(path)]


def _look(folder: str, name: str, files: set[str], folders: set[str]) -> None:
    for entry in os.listdir(folder):
        if normal(entry.partition(".")[0]) != name:
            continue
        path = os.path.join(folder, entry)
        if os.path.islink(path):
            continue  # nothing is mounted upon a link: it would be what it leads to
        if os.path.isdir(path) and "." not in entry:
            folders.add(path)
        elif entry.endswith((".py", ".pyc", ".so")) and os.path.isfile(path):
            files.add(path)
    cache = os.path.join(folder, "__pycache__")
    if os.path.isdir(cache):
        files.update(
            os.path.join(cache, entry)
            for entry in os.listdir(cache)
            if entry.endswith(".pyc") and normal(entry.partition(".")[0]) == name
        )
