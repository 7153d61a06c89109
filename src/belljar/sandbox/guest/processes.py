"""Fresh Python processes in a guest whose interpreter cannot be executed a second time.

`multiprocessing` starts its resource tracker and the children of `spawn` and `forkserver` by
executing `sys.executable`. Here each is a fork that lays down what it inherited: descriptors,
signal handlers, exit functions, the guest's own modules. Libraries stay imported. The walls are
the same for both, so nothing here is relied upon for safety. Runs on any CPython from 3.8.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_MOST_DESCRIPTORS = 1024
#: What a child no longer names must not be finalised either: a forgotten file would close a number
#: that is another file's by now.
_held: "list[object]" = []


def install(runtime: "list[str]", box: str, executed: bool) -> None:
    """Change `multiprocessing` when the guest imports it; `runtime` is where libraries lie. Where
    the interpreter may be executed, only what listens is changed."""
    import _frozen_importlib_external as external

    libraries = tuple(place + "/" for place in runtime if place and place != box)
    patches = {"multiprocessing.popen_forkserver": _no_server}
    if not executed:
        patches["multiprocessing.util"] = lambda module: _spawning(module, libraries)

    class After:
        @staticmethod
        def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
            if name not in patches:
                return None
            spec: "Any" = external.PathFinder.find_spec(name, path)
            if spec is None or not (spec.origin or "").startswith(libraries):
                return spec
            plain = spec.loader.exec_module

            def exec_module(module: "ModuleType") -> None:
                plain(module)
                patches[name](module)

            spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, After)


def _no_server(module: "ModuleType") -> None:
    """A fork server listens on a Unix socket, which a guest may not: its children are spawned."""
    from multiprocessing import popen_spawn_posix

    module.Popen = popen_spawn_posix.Popen  # type: ignore[attr-defined]


def _spawning(module: "ModuleType", libraries: "tuple[str, ...]") -> None:
    plain = module.spawnv_passfds

    def spawnv_passfds(path: "Any", args: "list[Any]", passfds: "list[int]") -> int:
        words = [os.fsdecode(word) for word in args]
        if os.fsdecode(path) != sys.executable or "-c" not in words[:-1]:
            return plain(path, args, passfds)  # type: ignore[no-any-return]
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()  # else both would write what is in its buffer
        import warnings

        spare = {fd: os.dup(fd) for fd in passfds}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # 3.12 warns of threads: not needed behind it
                pid = os.fork()
            if pid == 0:
                for fd, copy in spare.items():  # 3.14's resource tracker closes its own at a fork
                    os.dup2(copy, fd, False)
                at = words.index("-c") + 1
                _become(words[at], ["-c", *words[at + 1 :]], set(passfds), libraries)
        finally:
            for copy in spare.values():
                os.close(copy)
        return pid

    module.spawnv_passfds = spawnv_passfds  # type: ignore[attr-defined]


def _become(code: str, argv: "list[str]", kept: "set[int]", libraries: "tuple[str, ...]") -> None:
    """Be a new interpreter that runs `code`; does not return."""
    status = 1
    try:
        _forget(kept, libraries)
        sys.argv[:] = argv
        main = type(sys)("__main__")
        main.__dict__["__builtins__"] = __import__("builtins")
        sys.modules["__main__"] = main
        exec(code, main.__dict__)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # the end of a process, as the interpreter would end it
        sys.excepthook(*sys.exc_info())
    finally:
        _leave(status & 0xFF)


def _forget(kept: "set[int]", libraries: "tuple[str, ...]") -> None:
    import atexit
    import gc
    import signal
    import threading

    gc.freeze()
    atexit._clear()
    getattr(threading, "_threading_atexits", []).clear()  # pools of the parent's, from 3.9
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        own = file and not file.startswith((*libraries, "/belljar/"))
        fresh = name.startswith(("multiprocessing", "concurrent.futures"))
        if own or fresh or name in ("__main__", "__mp_main__"):
            _held.append(sys.modules.pop(name))
    _held.append(sys._getframe().f_back)
    for fd in range(3, _MOST_DESCRIPTORS):
        if fd not in kept:
            try:
                os.fstat(fd)  # the recorder's own does not show
                os.close(fd)
            except OSError:
                continue


def _leave(status: int) -> None:
    import atexit

    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    finally:
        os._exit(status)
