"""The first lines that run in a guest: the parts of `sandbox/guest` as one file, ready made."""

from __future__ import annotations

import os
import sys

from belljar.confine.runtime import Runtime

#: In this order, behind one another; the last one begins.
PARTS = ("imports.py", "bytecode.py", "facts.py", "names.py", "offer.py", "boot.py")
#: The same for a guest that stays and is asked, again and again.
LIVE_PARTS = (
    *PARTS[:-1],
    "keys.py", "records.py", "values.py", "kinds.py", "reading.py", "kinds_read.py",
    "ops.py", "incoming.py", "placing.py", "peer.py", "forms.py", "pages.py", "tables.py",
    "buffers.py", "lent.py", "host.py", "branch.py", "session.py", PARTS[-1],
)  # fmt: skip
#: Come with them as a constant, to be made to code by who asks for it.
LATER = ("narrow_asked.py", "narrow.py")
NAME = "/belljar/boot.py"  # what the code calls its file, whatever the host calls it


def boot_file(
    folder: str,
    runtime: Runtime,
    cache: str | None,
    private: str | None,
    parts: tuple[str, ...] = PARTS,
) -> str:
    """The host path of one file made of the `parts` in `folder`: compiled where the interpreter's
    version is ours (compiling costs the guest a millisecond), else as text. It is kept in `cache`,
    or lies in `private` where there is no cache; with neither, it is not made: a plan is asked for
    that nobody starts."""
    ours = "{}.{}.{}".format(*sys.version_info[:3])
    same = runtime.version == ours
    paths = [os.path.join(folder, part) for part in parts]
    later = [os.path.join(folder, part) for part in LATER]
    stats = list(map(os.stat, (*paths, *later)))
    if parts == PARTS:  # a hash of numbers is the same in every process
        whole = hash(tuple((s.st_ino, s.st_mtime_ns, s.st_size) for s in stats))
        states = f"-{whole & (1 << 64) - 1:x}"
    else:
        states = "".join(f"-{s.st_ino:x}.{s.st_mtime_ns:x}.{s.st_size:x}" for s in stats)
        from _blake2 import blake2b

        states = "-live-" + blake2b(states.encode(), digest_size=20).hexdigest()
    name = f"boot-{ours if same else 'text'}{states}.{'pyc' if same else 'py'}"
    kept = os.path.join(cache or private or "", name)
    if (cache or private) and not os.path.exists(kept):
        from contextlib import suppress

        rest = _code(_text(later)) if same else _text(later)
        data = (_compiled if same else _wrapped)(f"NARROW = {rest!r}\n{_text(paths)}")
        temporary = f"{kept}.{os.getpid()}.{os.urandom(4).hex()}"
        with open(temporary, "wb") as out:
            out.write(data)
        os.chmod(temporary, 0o644)  # the guest is another user
        with suppress(FileExistsError):  # another run has planned with its file already
            os.link(temporary, kept)
        os.unlink(temporary)
    return kept


#: What was made of our own files, which are as old as the code that runs here.
_made: dict[tuple[object, ...], str] = {}


def own_boot_file(
    folder: str, runtime: Runtime, cache: str | None, private: str, parts: tuple[str, ...]
) -> str:
    """`boot_file` of our own parts: looked at once in a process."""
    asked = (folder, runtime.version, cache, parts)
    known = _made.get(asked)
    if cache is None or known is None or not os.path.exists(known):
        known = boot_file(folder, runtime, cache, private, parts)
        if cache is not None:
            _made[asked] = known
    return known


def _text(paths: list[str]) -> str:
    texts = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    return "\n".join(texts)


def _code(text: str) -> bytes:
    import marshal

    return marshal.dumps(
        compile(text, NAME, "exec", dont_inherit=True, optimize=2)
    )  # no docstrings


def _compiled(text: str) -> bytes:
    import importlib.util

    return importlib.util.MAGIC_NUMBER + bytes(12) + _code(text)


def _wrapped(text: str) -> bytes:
    """Text that gives its code the neutral name."""
    return f"exec(compile({text!r}, {NAME!r}, 'exec', dont_inherit=True))\n".encode()
