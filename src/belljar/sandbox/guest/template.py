"""What a template runs: import what is asked, then be forked; each fork becomes a guest.

Runs on any CPython from 3.8, isolated and without `site`, and uses nothing of belljar's but the
zygote, a C extension whose `serve` returns in guests only, with all walls up. Nothing here is
relied upon for safety. What it must see to is that guests of one template do not draw the same
random numbers or names, and that each finds itself as one that was just started.
"""

import builtins
import gc
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REQUESTS = 3  # a socket that keeps messages apart: first the parameters, then requests
_MOST = 1 << 16


def _receive() -> "dict[str, Any]":
    size = int.from_bytes(posix.read(REQUESTS, 8), "little")
    data = b""
    while len(data) < size:
        chunk = posix.read(REQUESTS, _MOST)
        if not chunk:
            posix._exit(0)  # the host went away
        data += chunk
    return marshal.loads(data)


def _zygote(path: str) -> "Any":
    import _imp

    class Spec:
        name, origin = "belljar_zygote", path

    module = _imp.create_dynamic(Spec)
    _imp.exec_dynamic(module)
    return module


def _warm(boot: "dict[str, Any]") -> None:
    """Everything that guests find done. It is trusted like code of the host's."""
    sys.path[:] = [p for p in boot["path"] if p]
    for name in boot["modules"]:
        __import__(name)
    if boot["setup"]:
        names = {"__name__": "__template__", "__builtins__": builtins}
        exec(compile(boot["setup"], "<setup>", "exec", dont_inherit=True), names)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    gc.collect()
    gc.freeze()  # what is here stays shared: no collection of a guest's writes to it


def _serve() -> "tuple[list[bytes], list[bytes]]":
    """Returns in guests."""
    boot = _receive()
    try:
        zygote = _zygote(boot["zygote"])
        _warm(boot)
        serve = zygote.serve
        del zygote, boot
        return serve()
    except BaseException as error:  # whatever it is, the host is told
        import traceback

        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            posix.write(REQUESTS, b"failed " + text.encode("utf-8", "replace")[-30000:])
        finally:
            posix._exit(1)


def _take_environment(environment: "list[bytes]") -> None:
    mine = posix.environ
    mine.clear()  # `os.environ` is made of this very dictionary
    for entry in environment:
        name, _, value = entry.partition(b"=")
        mine[name] = value
    if b"TZ" in mine:
        import time

        time.tzset()


def _open_streams() -> None:
    """The standard streams as the interpreter makes them (`create_stdio` in pylifecycle.c)."""
    import io

    for fd, name, mode in ((0, "stdin", "rb"), (1, "stdout", "wb"), (2, "stderr", "wb")):
        raw = io.open(fd, mode, -1, closefd=False)
        plain = raw.raw
        terminal = plain.isatty()
        plain.name = f"<{name}>"
        stream = io.TextIOWrapper(
            raw,
            "utf-8",
            "backslashreplace" if fd == 2 else "surrogateescape",
            "\n",
            line_buffering=terminal or fd == 2,
        )
        stream.mode = "r" if fd == 0 else "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _draw_anew() -> None:
    """What would be the same in every guest of this template. `random` does it by itself (a
    handler for forks), `secrets` and hashes keep nothing, OpenSSL was given new randomness."""
    loaded = sys.modules
    if "random" in loaded:
        loaded["random"].seed()
    numbers = loaded.get("numpy.random")
    if numbers is not None:
        numbers.seed()
    if "uuid" in loaded:
        loaded["uuid"]._node = loaded["uuid"]._last_timestamp = None
    if "tempfile" in loaded:
        loaded["tempfile"]._name_sequence = loaded["tempfile"].tempdir = None
    if "multiprocessing.process" in loaded:
        process = loaded["multiprocessing.process"]
        process.current_process()._config["authkey"] = process.AuthenticationString(
            posix.urandom(32) if hasattr(posix, "urandom") else __import__("os").urandom(32)
        )


def _first_lines(path: bytes) -> "Any":
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    parts = []
    while True:
        part = posix.read(fd, 1 << 20)
        if not part:
            break
        parts.append(part)
    posix.close(fd)
    data = b"".join(parts)
    if path.endswith(b".pyc"):
        return marshal.loads(memoryview(data)[16:])
    return compile(data, "/belljar/boot.py", "exec", dont_inherit=True)


def _begin() -> "tuple[Any, dict[str, Any]]":
    environment, arguments = _serve()
    _take_environment(environment)
    _open_streams()
    _draw_anew()
    return _first_lines(arguments[-1]), {"__name__": "__main__", "__builtins__": builtins}


exec(*_begin())
