"""Runs in a guest: looks everywhere for words, given backwards so as not to find them in itself,
and prints the places where they stand."""

import ctypes
import gc
import importlib.metadata
import json
import os
import site
import sys
import sysconfig
import traceback
import types

WORDS = [word.encode() for word in sys.argv[1].split(",")]
ROOTS = ("/python", "/belljar", "/etc", "/box", "/tmp", "/dev/shm", "/opt", "/root", "/home",
         "/var", "/lib", "/lib64", "/usr", "/bin", "/run", "/srv", "/proc", "/sys")  # fmt: skip
LARGEST = 1 << 28
found = []


def look(place, value):
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    back = bytes(value)[::-1]
    if any(word in back for word in WORDS):
        found.append(place)


def files():
    """Names, links and contents, of all that can be seen; of the system's libraries no contents:
    they are what the distribution made."""
    roots = [*ROOTS, *sys.path, sys.prefix, sys.base_prefix, os.path.dirname(sys.executable)]
    for root in dict.fromkeys(roots):
        for folder, folders, names in os.walk(root):
            for name in folders + names:
                path = os.path.join(folder, name)
                look(f"name {path}", path)
                if os.path.islink(path):
                    look(f"link {path}", os.readlink(path))
                elif os.path.isfile(path) and not path.startswith(("/usr/lib/", "/lib")):
                    try:
                        with open(path, "rb") as file:
                            look(f"file {path}", file.read(LARGEST))
                    except OSError:
                        continue


def code(place, one):
    look(f"co_filename {place}", one.co_filename)
    for constant in one.co_consts:
        if isinstance(constant, types.CodeType):
            code(place, constant)
        elif isinstance(constant, (str, bytes)):
            look(f"constant {place}", constant)


def objects():
    """Everything that the collector reaches, and what hangs on it."""
    own = globals()
    for one in gc.get_objects():
        if one is WORDS or one is found or one is own:
            continue
        for inner in gc.get_referents(one):
            if isinstance(inner, (str, bytes, bytearray)) and inner not in WORDS:
                look(f"object in {type(one).__name__}", inner)
            elif isinstance(inner, types.CodeType):
                code(inner.co_name, inner)


def told():
    for name in ("prefix", "base_prefix", "exec_prefix", "executable", "_base_executable", "argv",
                 "orig_argv", "path", "path_importer_cache", "flags", "_xoptions", "meta_path",
                 "version", "platlibdir", "warnoptions"):  # fmt: skip
        value = str(getattr(sys, name, ""))
        look(f"sys.{name}", value if name not in ("argv", "orig_argv") else str(sys.argv[2:]))
    for name, value in {**sysconfig.get_config_vars(), **sysconfig.get_paths()}.items():
        look(f"sysconfig {name}", str(value))
    with (
        open(sysconfig.get_makefile_filename(), "rb")
        if os.path.exists(sysconfig.get_makefile_filename())
        else open(os.devnull, "rb") as file
    ):
        look("Makefile", file.read())
    look("site", str((site.PREFIXES, site.getsitepackages(), site.getusersitepackages())))
    for name, module in list(sys.modules.items()):
        if name != "__main__":
            look(
                f"module {name}", str({k: str(v) for k, v in vars(module).items() if k[:2] == "__"})
            )
    for one in importlib.metadata.distributions():
        look(f"distribution {one.name}", str([str(f.locate()) for f in one.files or ()]))
        for name in ("RECORD", "direct_url.json", "INSTALLER", "METADATA"):
            look(f"{name} of {one.name}", one.read_text(name) or "")
    try:
        json.loads("{")
    except ValueError:
        look("traceback", traceback.format_exc())
    look("environment", str(dict(os.environ)))
    look("cwd", os.getcwd())
    look("warnings", str(traceback.format_stack()))


def native():
    """What the C library and the loader know."""
    libc = ctypes.CDLL(None)
    libc.getauxval.restype = ctypes.c_char_p
    look("AT_EXECFN", libc.getauxval(ctypes.c_ulong(31)) or b"")
    names = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    i = 0
    while names[i] is not None:
        look("environ", names[i])
        i += 1
    for name in ("program_invocation_name", "program_invocation_short_name"):
        look(name, ctypes.c_char_p.in_dll(libc, name).value or b"")
    ctypes.pythonapi.Py_GetProgramFullPath.restype = ctypes.c_wchar_p
    for name in ("Py_GetPath", "Py_GetPrefix", "Py_GetExecPrefix", "Py_GetProgramFullPath"):
        if hasattr(ctypes.pythonapi, name):
            function = getattr(ctypes.pythonapi, name)
            function.restype = ctypes.c_wchar_p
            look(name, function() or "")

    class Info(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)
    def each(info, size, data):
        look("library", info.contents.name or b"")
        return 0

    libc.dl_iterate_phdr(each, None)


for step in (told, native, objects, files):
    step()
print(json.dumps(sorted(set(found))))
