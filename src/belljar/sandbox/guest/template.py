"""What a template runs: import what is asked, then be forked; each fork becomes a guest.

Runs on any CPython from 3.8, isolated and without `site`, and uses nothing of belljar's but the
zygote, a C extension: `serve` returns in guests only, `enter` in guests with all walls up. Nothing
here is relied upon for safety. What it must see to is that guests of one template do not draw the
same random numbers or names, and that each finds itself as one that was just started.
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
_NULL = posix.fstat(0).st_rdev  # a template reads from the null device, as most guests do


def _receive() -> "dict[str, Any]":
    size = int.from_bytes(posix.read(REQUESTS, 8), "little")
    data = b""
    while len(data) < size:
        chunk = posix.read(REQUESTS, _MOST)
        if not chunk:
            posix._exit(0)  # the host went away
        data += chunk
    boot: "dict[str, Any]" = marshal.loads(data)
    return boot


def _zygote(path: str) -> "Any":
    import _imp

    class Spec:
        name, origin = "belljar_zygote", path

    spec: "Any" = Spec
    module = _imp.create_dynamic(spec)
    _imp.exec_dynamic(module)
    return module


def _warm(boot: "dict[str, Any]") -> "dict[tuple[int, ...], dict[str, Any]]":
    """Everything that guests find done. It is trusted like code of the host's. Returns the names of
    the first lines that guests may be given, by what their file is."""
    sys.path[:] = [p for p in boot["path"] if p]
    ready = _borrow_streams(boot["first"])
    tree: "Any" = compile("0", "<template>", "eval", 0x400, True)  # makes the types of `ast`
    compile(tree, "<template>", "eval", 0, True)
    for name in boot["modules"]:
        _doing[0] = "modules=[%r]" % name
        __import__(name)
    if boot["setup"]:
        _doing[0] = "setup="
        names = {"__name__": "__template__", "__builtins__": builtins}
        exec(compile(boot["setup"], "<setup>", "exec", dont_inherit=True), names)
    _doing[0] = ""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return ready


#: What of the creator's goes on, for the host when it fails.
_doing = [""]


def _where(error: "Any") -> str:
    """That, with the line of `setup`."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<setup>":
            line = line or trace.tb_lineno
        trace = trace.tb_next
    if not line and isinstance(error, SyntaxError) and error.filename == "<setup>":
        line = error.lineno or 0
    return "%s line %d" % (_doing[0], line) if line else _doing[0]


def _prepare(path: bytes) -> "dict[str, Any]":
    """The names of the first lines, which begin nothing yet."""
    names: "dict[str, Any]" = {"__name__": "__main__", "__builtins__": builtins, "_WAITS": True}
    exec(_read(path), names)
    del names["_WAITS"]
    return names


def _serve() -> "tuple[Any, dict[tuple[int, ...], dict[str, Any]]]":
    """Returns in guests-to-be: what waits for the walls, and the first lines that are ready."""
    boot = _receive()
    try:
        zygote = _zygote(boot["zygote"])
        ready = _warm(boot)
        del boot
        names = list(map(str, sys.modules))
        for at in range(0, len(names), 200):  # what guests find, with what that needed
            posix.write(REQUESTS, b"loaded " + " ".join(names[at : at + 200]).encode())
        del names  # else each guest would, and write to all of them
        gc.collect()
        gc.freeze()  # what is here stays shared: no collection of a guest's writes to it
        zygote.serve()
        return zygote.enter, ready
    except BaseException as error:  # whatever it is, the host is told
        import traceback

        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            told = (_where(error) + "\n").encode("utf-8", "replace")
            posix.write(REQUESTS, b"failed " + told + text.encode("utf-8", "replace")[-30000:])
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


def _open_stream(fd: int) -> None:
    """A standard stream as the interpreter makes it (`create_stdio` in pylifecycle.c)."""
    import io

    name = ("stdin", "stdout", "stderr")[fd]
    raw: "Any" = io.open(fd, "wb" if fd else "rb", -1, closefd=False)  # noqa: SIM115 (it stays)
    plain = raw.raw
    plain.name = f"<{name}>"
    errors = "backslashreplace" if fd == 2 else "surrogateescape"
    lines = plain.isatty() or fd == 2
    stream: "Any" = io.TextIOWrapper(raw, "utf-8", errors, "\n", line_buffering=lines)
    stream.mode = "w" if fd else "r"
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _borrow_streams(first: "list[bytes]") -> "dict[tuple[int, ...], dict[str, Any]]":
    """Guests mostly write to pipes: what is made for one here is good for them as well."""
    read, write = posix.pipe()
    for fd in (1, 2):
        posix.dup2(write, fd)
        _open_stream(fd)
    ready = {_identity(path): _prepare(path) for path in first}
    for fd in (1, 2):
        posix.dup2(0, fd)  # the null device
    posix.close(read)
    posix.close(write)
    return ready


def _keep_streams() -> None:
    """Those that are of another kind than here are made anew."""
    if posix.fstat(0).st_rdev != _NULL:
        _open_stream(0)
    for fd in (1, 2):
        if posix.fstat(fd).st_mode & 0o170000 != 0o010000:
            _open_stream(fd)


def _draw_anew() -> None:
    """What would be the same in every guest of this template. `random` does it by itself (a
    handler for forks), `secrets` and hashes keep nothing, OpenSSL was given new randomness."""
    loaded: "dict[str, Any]" = sys.modules
    if "random" in loaded:
        loaded["random"].seed()
    numbers = loaded.get("numpy.random")
    if numbers is not None:
        numbers.seed()
    if "threading" in loaded:
        loaded["threading"].main_thread()._set_native_id()  # that of the template, so far
    if "uuid" in loaded:
        loaded["uuid"]._node = loaded["uuid"]._last_timestamp = None
        loaded["uuid"]._generate_time_safe = None  # libuuid keeps a number for the node, too
    if "tempfile" in loaded:
        loaded["tempfile"]._name_sequence = loaded["tempfile"].tempdir = None
    if "multiprocessing.process" in loaded:
        process = loaded["multiprocessing.process"]
        key = process.AuthenticationString(posix.urandom(32))
        process.current_process()._config["authkey"] = key


def _identity(path: bytes) -> "tuple[int, ...]":
    found = posix.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: bytes) -> "Any":
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


def _begin() -> None:
    enter, ready = _serve()
    _draw_anew()
    _keep_streams()
    environment, arguments = enter()
    _take_environment(environment)
    path = arguments[-1]
    names = ready.get(_identity(path))
    if names is not None:
        names["_start"](names["_begin"]())
    else:
        exec(_read(path), {"__name__": "__main__", "__builtins__": builtins})


_begin()
