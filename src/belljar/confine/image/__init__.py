"""The runtime image: the interpreter and its environment at neutral paths, made once and kept.

An image has a tree for the interpreter and one for each directory of distributions, so that
environments share the first. In the cache lies, for each tree, a text: what it is, the directory
that holds it, and the times of what it was made from. Who finds one of them changed makes the tree
anew, beside the old one, and puts a new text in the place of the old.
"""

from __future__ import annotations

import fcntl
import os
import time
from _blake2 import blake2b
from itertools import starmap

from belljar._native import unchanged
from belljar.confine.keeper import close_all
from belljar.confine.runtime import Runtime, Shown, as_it_is
from belljar.errors import Unenforceable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.model import Policy

#: Where the guest finds its runtime.
HOME = "/python"
#: Changes when images of an earlier form are not to be used.
_FORM = "6"
_SHORT = 600  # seconds for which a failure is not tried again
MOST_SITES = 5  # directories of distributions, one behind another
_REMEDY = "leave out names = hidden, or mend that"


class Image:
    """How a run's runtime is shown. Its trees are not removed before it is closed."""

    def __init__(self, shown: Shown, held: list[int]) -> None:
        self.shown = shown
        self._held = held

    def __enter__(self) -> Image:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the trees; may be called twice."""
        while self._held:
            os.close(self._held.pop())


class Tree:
    """One tree of an image: `source` of the host, for the guest `guest`; the interpreter's own
    where `site` is False. `folder` is where trees are kept."""

    def __init__(self, runtime: Runtime, source: str, guest: str, folder: str, site: bool) -> None:
        self.runtime = runtime
        self.source = source
        self.guest = guest
        self.folder = folder
        self.site = site
        stat = os.stat(source)
        what = (_FORM, runtime.version, runtime.program, guest, source)
        self.first = "\t".join(word.replace("\n", "?") for word in what)
        # in the name, so that versions of Belljar that differ do not make each other's anew
        digest = blake2b(os.fsencode(self.first), digest_size=8).hexdigest()
        name = f"{runtime.version}{guest.replace('/', '-')}-{digest}"
        self.text = f"{folder}/{stat.st_dev:x}.{stat.st_ino:x}-{name}"


def show(
    policy: Policy,
    runtime: Runtime,
    tier: str,
    cache: str | None,
    tell: Callable[[str], None] | None = None,
) -> Image:
    """How `runtime` is shown to a guest. `tell` is given a line when there is something to wait
    for.

    Raises `Unenforceable` when names are to be hidden and cannot be.
    """
    if policy.names == "visible" or tier == "landlock":
        return Image(as_it_is(runtime), [])
    wanted = policy.names == "hidden" or "names" in policy.require
    try:
        why = _impossible(policy, runtime, cache) or ("" if wanted else _failed(cache))
        if cache is not None and not why:
            return _image(runtime, cache + "/images", tell)
    except OSError as error:
        why = f"the runtime image cannot be made: {error.strerror or error} ({error.filename})"
        _note(cache, why)
    if wanted:
        raise Unenforceable("names", why, _REMEDY)
    return Image(as_it_is(runtime, why), [])


def _failed(cache: str | None) -> str:
    """Why it could not be made a short while ago: not every run is to try for seconds."""
    try:
        with open(f"{cache}/images/failed", encoding="utf-8", errors="replace") as file:
            old = time.time() - os.fstat(file.fileno()).st_mtime > _SHORT
            return "" if old else file.read(1000)
    except OSError:
        return ""


def _note(cache: str | None, why: str) -> None:
    from contextlib import suppress  # slow to import

    with suppress(OSError), open(f"{cache}/images/failed", "wb") as file:
        file.write(os.fsencode(why))


def _impossible(policy: Policy, runtime: Runtime, cache: str | None) -> str:
    if cache is None:
        return "there is no cache directory of your own to keep a runtime image in"
    if not _layout(runtime)[1]:
        return f"{runtime.stdlib} is not laid out as CPython's lib/pythonX.Y"
    if len(runtime.site) > MOST_SITES or any(
        os.path.basename(path) not in ("site-packages", "dist-packages") for path in runtime.site
    ):
        return f"the distributions of {runtime.program} lie where CPython does not look"
    for grant in policy.grants:
        if grant.target == HOME or grant.target.startswith(HOME + "/"):
            return f"{HOME} is granted, and is where the runtime image would be"
    if any(os.path.isdir(path) for path in runtime.libraries):
        return "the libraries of a conda environment cannot be shown elsewhere"
    return ""


def _layout(runtime: Runtime) -> tuple[str, str]:
    """(prefix, standard library within it); nothing where it lies elsewhere."""
    above, name = os.path.split(runtime.stdlib)
    base, folder = os.path.split(above)
    usual = name.startswith("python3.") and folder.startswith("lib") and base not in ("", "/")
    return (base, f"{folder}/{name}") if usual else (base, "")


def _image(runtime: Runtime, folder: str, tell: Callable[[str], None] | None) -> Image:
    base, library = _layout(runtime)
    stdlib = f"{HOME}/{library}"
    sites = [
        f"{HOME}/{number}/{os.path.basename(path)}" if number else f"{stdlib}/site-packages"
        for number, path in enumerate(runtime.site)
    ]
    dynload = f"{stdlib}/lib-dynload" if runtime.dynload else ""
    libraries = [f"{HOME}/lib/{os.path.basename(path)}" for path in runtime.libraries]
    program = f"{HOME}/bin/{os.path.basename(runtime.program)}"
    inner = Runtime(program, runtime.version, stdlib, dynload, tuple(sites), (), tuple(libraries))
    pairs = list(zip(sites, runtime.site, strict=True))
    wanted = [Tree(runtime, runtime.stdlib, HOME, folder, site=False)]
    wanted += [Tree(runtime, path, guest, folder, site=True) for guest, path in pairs]
    image = Image(as_it_is(runtime), [])
    trees: list[tuple[str, str]] = []
    try:
        for one in wanted:
            found, held = current(one)
            if not found:
                from belljar.confine.image.make import make

                found, held = make(one, tell)
            image._held.append(held)
            trees.append((one.guest, f"{found}/tree"))
    except BaseException:
        image.close()
        raise
    pairs += [(stdlib, runtime.stdlib), (program, runtime.program), (HOME, base)]
    pairs += list(zip(libraries, runtime.libraries, strict=True))
    if dynload:
        pairs.append((dynload, runtime.dynload))
    pairs.sort(key=lambda pair: -len(pair[1]))  # what lies deeper says more
    image.shown = Shown(inner, tuple(trees), tuple(pairs))
    return image


def current(tree: Tree) -> tuple[str, int]:
    """(directory, descriptor that keeps it) of the tree as it has to be today; ("", -1) if there
    is none. A directory that others could write is none."""
    try:
        with open(tree.text, "rb") as file:
            first, name, states = file.read().split(b"\n", 2)
    except (FileNotFoundError, ValueError):
        return "", -1
    if os.fsdecode(first) != tree.first or b"/" in name:
        return "", -1
    if not unchanged(os.fsencode(tree.source), states):
        return "", -1
    path = f"{tree.folder}/{os.fsdecode(name)}"
    return hold(path)


def hold(path: str) -> tuple[str, int]:
    """`path` with a descriptor that keeps it from being removed; ("", -1) where it is not ours."""
    held: list[int] = []
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        held.extend(starmap(os.open, ((path, flags),)))  # kept as it is made, see `keeper`
        stat = os.fstat(held[0])
        if stat.st_uid == os.geteuid() and not stat.st_mode & 0o022:
            fcntl.flock(held[0], fcntl.LOCK_SH)
            return path, held[0]
    except FileNotFoundError:
        return "", -1
    except BaseException:
        close_all(held)
        raise
    close_all(held)
    return "", -1
