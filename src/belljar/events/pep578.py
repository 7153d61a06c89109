"""What PEP 578 promised, line by line, and what became of it. Loaded by `table` only."""

from __future__ import annotations

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Line(Value):
    """One event of the PEP's tables.

    `table` is 1 (suggested to every implementation) or 2 (examples); `promised` the name there
    and `arguments` what it was to carry; `shipped` the names that CPython raises for it; `note`
    where they differ. `whole` is False where only a part of what was promised is raised.
    """

    table: int
    promised: str
    arguments: str
    shipped: tuple[str, ...]
    note: str = ""
    whole: bool = True


_SOCKETS = (
    "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.getnameinfo", "socket.sendmsg",
    "socket.sendto",
)  # fmt: skip

#: In the order of the PEP.
LINES: Final = (
    Line(1, "sys.addaudithook", "", ("sys.addaudithook",)),
    Line(
        1, "cpython.PyFile_SetOpenCodeHook", "", ("setopencodehook",),
        "shipped under another name",
    ),
    Line(
        1, "compile", "code, filename_or_none", ("compile",),
        "source comes as bytes, an AST as the object, a file as None",
    ),
    Line(1, "exec", "code_object", ("exec",)),
    Line(
        1, "import", "module, filename, sys.path, sys.meta_path, sys.path_hooks", ("import",),
        "not for modules that importlib.import_module or a loader loads, before 3.15", False,
    ),
    Line(1, "io.open", "path, mode, flags", ("open",), "shipped under another name"),
    Line(1, "sys.setprofile", "", ("sys.setprofile",)),
    Line(1, "sys.settrace", "", ("sys.settrace",)),
    Line(
        1, "object.__setattr__", "object, attr, value", ("object.__setattr__",),
        "never shipped for any attribute on type objects: only for special ones, __class__, and "
        "the code and defaults of functions", False,
    ),
    Line(
        1, "object.__delattr__", "object, attr", ("object.__delattr__",),
        "never shipped for any attribute on type objects: only for those of __setattr__", False,
    ),
    Line(1, "pickle.find_class", "module_name, global_name", ("pickle.find_class",)),
    Line(
        2, "sys._clearaudithooks", "", ("cpython._PySys_ClearAuditHooks",),
        "shipped under another name",
    ),
    Line(
        2, "code.__new__", "bytecode, filename, name", ("code.__new__",),
        "carries six numbers more; raised by code.replace, too",
    ),
    Line(2, "function.__new__", "code", ("function.__new__",)),
    Line(2, "ctypes.dlopen", "module_or_path", ("ctypes.dlopen",)),
    Line(
        2, "ctypes.dlsym", "lib_object, name", ("ctypes.dlsym", "ctypes.dlsym/handle"),
        "by name and by handle are two events",
    ),
    Line(
        2, "ctypes.cdata", "ptr_as_int", ("ctypes.cdata", "ctypes.cdata/buffer"),
        "views of buffers raise an event of their own, too",
    ),
    Line(2, "mmap.__new__", "fileno, map_size, access, offset", ("mmap.__new__",)),
    Line(2, "sys._getframe", "frame_object", ("sys._getframe",)),
    Line(2, "sys._current_frames", "", ("sys._current_frames",)),
    Line(
        2, "socket.address", "socket, address", _SOCKETS,
        "never shipped under this name: one event for each call; the two lookups carry no socket",
    ),
    Line(
        2, "object.__getattr__", "object, attr", ("object.__getattr__",),
        "for members marked so: code, defaults and frames of functions, generators, tracebacks",
    ),
    Line(2, "urllib.Request", "url, data, headers, method", ("urllib.Request",)),
)  # fmt: skip
