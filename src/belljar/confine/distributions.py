"""Which files of an environment hold the native code of a distribution (`import = ["numpy"]`)."""

from __future__ import annotations

import os
import sys
from importlib import metadata

from belljar.confine.runtime import Runtime
from belljar.errors import PolicyError
from belljar.model import Grant


def native_parts(grants: list[Grant], runtime: Runtime) -> list[str]:
    """Top-level directories and files with native code, of the named distributions and of what
    they require. Names of the standard library are none of the environment's business.

    Raises `PolicyError` for a name that is neither.
    """
    found: dict[str, None] = {}
    for distribution in _granted(grants, runtime):
        for part in _native(distribution):
            found[part] = None
    return list(found)


def parts(grants: list[Grant], runtime: Runtime) -> list[str]:
    """Top-level directories and files of the named distributions and of what they require, with
    native code or without: whose imports are their own affair. Raises as `native_parts`."""
    found: dict[str, None] = {}
    for distribution in _granted(grants, runtime):
        for file in distribution.files or ():
            if file.parts[0] == ".." or file.parts[0].endswith((".dist-info", ".egg-info")):
                continue
            if file.suffix in (".py", ".so"):
                found[os.path.realpath(str(distribution.locate_file(file.parts[0])))] = None
    return list(found)


def state(runtime: Runtime) -> tuple[tuple[str, int, int, int], ...]:
    """What tells that an environment is as it was: its directories, and what each distribution in
    them says of itself."""
    found = []
    for site in runtime.site:
        try:
            names = sorted(os.listdir(site))
        except OSError:
            continue
        places = [f"{site}/{name}" for name in names if name.endswith((".dist-info", ".egg-info"))]
        files = (f"{place}/{file}" for place in places for file in ("METADATA", "RECORD"))
        for path in (site, *places, *files):
            try:
                stat = os.stat(path)
            except OSError:
                continue
            found.append((path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _granted(grants: list[Grant], runtime: Runtime) -> list[metadata.Distribution]:
    known = {
        _normal(d.metadata["Name"]): d for d in metadata.distributions(path=list(runtime.site))
    }
    names: dict[str, None] = {}
    for grant in grants:
        if grant.target.partition(".")[0] in sys.stdlib_module_names:
            continue
        if _normal(grant.target) not in known:
            where = runtime.site[0] if runtime.site else runtime.program
            raise PolicyError(
                grant.origin,
                f"import = {grant.target}: not installed for {where}, and not in the "
                f"standard library",
            )
        for name in _closure(_normal(grant.target), known):
            names[name] = None
    return [known[name] for name in names]


def brought(name: str, runtime: Runtime) -> tuple[str, ...]:
    """The installed distributions that a grant of `name` brings, itself among them, by their
    normal names; nothing where it is not installed."""
    known = {
        _normal(d.metadata["Name"]): d for d in metadata.distributions(path=list(runtime.site))
    }
    wanted = _normal(name)
    return tuple(_closure(wanted, known)) if wanted in known else ()


def owners(runtime: Runtime) -> dict[str, str]:
    """Real path of every file and top directory of the environment -> the distribution it is of,
    by its normal name."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions(path=list(runtime.site)):
        name = _normal(distribution.metadata["Name"])
        for file in distribution.files or ():
            if file.parts[0] != "..":
                top = os.path.realpath(str(distribution.locate_file(file.parts[0])))
                found.setdefault(top, name)
                if file.suffix == ".so" or ".so." in file.name:
                    found[os.path.realpath(str(distribution.locate_file(file)))] = name
    return found


def _normal(name: str) -> str:
    text = name.lower().replace("_", "-").replace(".", "-")  # PEP 503
    while "--" in text:
        text = text.replace("--", "-")
    return text


def _closure(name: str, known: dict[str, metadata.Distribution]) -> list[str]:
    seen, queue = [], [name]
    while queue:
        current = queue.pop()
        if current in seen:
            continue
        seen.append(current)
        for line in known[current].requires or ():
            requirement, _, marker = line.partition(";")
            if "extra" in marker:
                continue
            end = 0
            while end < len(requirement) and (
                requirement[end].isalnum() or requirement[end] in "-_."
            ):
                end += 1
            required = _normal(requirement[:end])
            if required in known:
                queue.append(required)
    return seen


def _native(distribution: metadata.Distribution) -> list[str]:
    tops: dict[str, None] = {}
    for file in distribution.files or ():
        if file.suffix == ".so" or ".so." in file.name:
            path = os.path.realpath(str(distribution.locate_file(file.parts[0])))
            if os.path.exists(path):
                tops[path] = None
    return list(tops)
