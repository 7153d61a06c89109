"""The first lines that run inside: set the stage, then become the guest's program.

Runs on any CPython from 3.8, isolated and without `site`. Everything here is a window: the
walls stand already, and nothing below is relied upon for safety.
"""

import builtins
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _parameters() -> "dict[str, Any]":
    # The host answers only once the recorder has said hello: no guest code runs unrecorded.
    data = b""
    while True:
        chunk = posix.read(3, 65536)
        if not chunk:
            break
        data += chunk
    posix.close(3)
    return marshal.loads(data)


def _importer() -> str:
    """The file of the code that imports: the nearest frame that is not the import system's."""
    between = ("/ctypes/__init__.py", "/belljar/boot.py", "/sandbox/guest/boot.py")
    frame: "Any" = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith("<frozen importlib") and not file.endswith(between):
            return file
        frame = frame.f_back
    return ""


def _guard_imports(allowed: "dict[str, Any]") -> None:
    """Readable refusals for what the walls refuse unreadably (an empty or unmappable file)."""
    import _frozen_importlib_external as external

    names = set(allowed["names"])
    granted = set(allowed["beneath"])
    places = sorted(granted | set(allowed["outside"]), key=len, reverse=True)
    unsafe = frozenset(allowed["unsafe"])

    trusted = tuple(place + "/" for place in allowed["named"]) or ("\0",)

    class Guard:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name in unsafe and name.lstrip("_") not in names and name not in names:
                if _importer().startswith(trusted):
                    return  # numpy, pandas and others use ctypes; the walls hold both
                refuse(name, name.lstrip("_"), "outside the safe set of the standard library")

    def refuse(module, grant, why):
        sys.audit("belljar.denied", "import", grant, module)
        raise ImportError(
            f"{module} is {why}; the grant that allows it is --import {grant}",
            name=module,
        )

    plain = external.ExtensionFileLoader.create_module

    def create_module(self, spec):
        for place in places:  # the most specific one decides
            if self.path == place or self.path.startswith(place + "/"):
                if place in granted:
                    return plain(self, spec)
                break
        refuse(spec.name, spec.name.partition(".")[0], "native code that no grant names")
        return None

    external.ExtensionFileLoader.create_module = create_module
    sys.meta_path.insert(0, Guard)


def _source_only(runtime: "list[str]") -> None:
    """Compiled files count only where they came with the runtime (hostile bytecode)."""
    import _frozen_importlib_external as external
    import _imp

    class SourceOnly(external.SourceFileLoader):
        def get_code(self, fullname):
            path = self.get_filename(fullname)
            return self.source_to_code(self.get_data(path), path)

    ours = tuple(runtime)
    plain = external.FileFinder.path_hook(*external._get_supported_file_loaders())
    native = (external.ExtensionFileLoader, _imp.extension_suffixes())
    strict = external.FileFinder.path_hook(native, (SourceOnly, [".py"]))

    def hook(path):
        known = path in ours or path.startswith(tuple(p + "/" for p in ours if p))
        return plain(path) if known else strict(path)

    sys.path_hooks[-1:] = [hook]
    sys.path_importer_cache.clear()
    sys.dont_write_bytecode = True


def _find_beside(modules: "dict[str, str]") -> None:
    """The modules beside the script, where its directory cannot be listed."""
    import _frozen_importlib_external as external

    class Beside:
        @staticmethod
        def find_spec(name, path=None, target=None):
            file = modules.get(name) if path is None else None
            return external.spec_from_file_location(name, file) if file else None

    sys.meta_path.insert(0, Beside)


def _start_processes(boot: "dict[str, Any]") -> None:
    with open(boot["processes"], "rb") as file:
        code = compile(file.read(), "/belljar/processes.py", "exec", dont_inherit=True)
    names: "dict[str, Any]" = {"__name__": "belljar.processes"}
    exec(code, names)
    names["install"](boot["runtime"], boot["path"][0])


def _main_module(name_of_file: "str | None") -> "dict[str, Any]":
    module = type(sys)("__main__")
    module.__builtins__ = builtins
    if name_of_file is not None:
        module.__file__ = name_of_file
        module.__cached__ = None
    sys.modules["__main__"] = module
    return module.__dict__


def _begin() -> "dict[str, Any]":
    boot = _parameters()
    for name in list(posix.environ):
        if name in (b"LD_PRELOAD", b"LD_ORIGIN_PATH") or name.startswith(b"BELLJAR_"):
            del posix.environ[name]  # what `os` will be made from; exec puts them back for children
    import _sitebuiltins

    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()
    sys.path[:] = [p for p in boot["path"] if p]
    if boot["lines"]:
        sys.stdout.reconfigure(line_buffering=True)  # the pipe ends at a terminal
    if not boot["extensions"]["all"]:
        _guard_imports(boot["extensions"])
    if not boot["bytecode"]:
        _source_only(boot["runtime"])
    if boot["beside"]:
        _find_beside(boot["beside"])
    if boot["processes"]:
        _start_processes(boot)
    return boot


def _run(boot: "dict[str, Any]") -> None:
    kind, target = boot["kind"], boot["target"]
    sys.audit("belljar.begin")  # what came before is the interpreter's own start
    try:
        if kind == "module":
            import runpy

            sys.argv[:] = [target, *boot["argv"]]
            _main_module(None)
            runpy._run_module_as_main(target)
        elif kind == "code":
            sys.argv[:] = ["-c", *boot["argv"]]
            # a string, not compile(): that builds the types of `ast`, a fifth of the start
            exec(target, _main_module(None))
        else:
            sys.argv[:] = [target, *boot["argv"]]
            with open(target, "rb") as file:
                source = file.read()
            code = compile(source, target, "exec", dont_inherit=True)
            exec(code, _main_module(target))
    except SystemExit:
        raise
    except BaseException as error:  # the interpreter's own last resort, without our frame
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


_run(_begin())
