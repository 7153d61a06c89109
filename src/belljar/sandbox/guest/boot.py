"""The first lines that run inside: set the stage, then become the guest's program.

Runs on any CPython from 3.8, isolated and without `site`. Everything here is a window: the
walls stand already, and nothing below is relied upon for safety. The other parts lie beside this
one, and the host puts them before it in one file (`confine.first_lines`).
"""

import builtins
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.sandbox.guest.bytecode import source_only
    from belljar.sandbox.guest.facts import neutral_machine, no_programs, tell_interfaces, withhold
    from belljar.sandbox.guest.imports import guard_imports
    from belljar.sandbox.guest.names import choose_builtins
    from belljar.sandbox.guest.offer import offer_narrow
    from belljar.sandbox.guest.session import prepare_session, serve_session


def _parameters() -> "dict[str, Any]":
    # The host answers only once the recorder has said hello: no guest code runs unrecorded.
    boot = marshal.loads(_read(int.from_bytes(_read(4), "little")))
    if boot["kind"] != "live":
        posix.close(3)
    return boot


def _read(size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = posix.read(3, size - len(data))
        if not chunk:
            posix._exit(1)  # the host went away before it said what to do
        data += chunk
    return data


def _site_builtins() -> None:
    """As `site` would; in a template, for all its guests."""
    import _sitebuiltins

    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()


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
    names["install"](boot["runtime"], boot["path"][0], boot["executed"])


def _main_module(boot: "dict[str, Any]", name_of_file: "str | None") -> "dict[str, Any]":
    module = type(sys)("__main__")
    module.__dict__["__builtins__"] = boot["builtins"] or builtins
    if name_of_file is not None:
        module.__file__ = name_of_file
        module.__cached__ = None
    sys.modules["__main__"] = module
    return module.__dict__


def _begin() -> "dict[str, Any]":
    boot = _parameters()
    if not hasattr(builtins, "help"):
        _site_builtins()
    for name in list(posix.environ):
        if name in (b"LD_PRELOAD", b"LD_ORIGIN_PATH") or name.startswith(b"BELLJAR_"):
            del posix.environ[name]  # what `os` will be made from; exec puts them back for children
    sys.path[:] = [p for p in boot["path"] if p]
    if boot["lines"]:
        sys.stdout.reconfigure(line_buffering=True)  # the pipe ends at a terminal
    guard_imports(boot["modules"])
    if boot["machine"]:
        neutral_machine(boot["machine"])
    if not boot["programs"]:
        no_programs()
    tell_interfaces(boot["interfaces"])
    withhold(boot["withheld"])
    if boot["beside"]:
        _find_beside(boot["beside"])
    if boot["processes"]:
        _start_processes(boot)
    if boot["builtins"]:
        boot["builtins"] = choose_builtins(boot["builtins"], boot["runtime"])
    if not boot["bytecode"]:
        source_only(boot["runtime"])
    offer_narrow(boot)
    return boot


def _run(boot: "dict[str, Any]") -> None:
    kind, target = boot["kind"], boot["target"]
    if sys.version_info >= (3, 10):
        sys.orig_argv[:] = [sys.executable, *boot["argv"]]
    sys.audit("belljar.begin")  # what came before is the interpreter's own start
    try:
        if kind == "module":
            import runpy

            sys.argv[:] = [target, *boot["argv"]]
            _main_module(boot, None)
            runpy._run_module_as_main(target)
        elif kind == "code":
            sys.argv[:] = ["-c", *boot["argv"]]
            # a string, not compile(): that builds the types of `ast`, a fifth of the start
            exec(target, _main_module(boot, None))
        else:
            sys.argv[:] = [target, *boot["argv"]]
            with open(target, "rb") as file:
                source = file.read()
            code = compile(source, target, "exec", dont_inherit=True)
            exec(code, _main_module(boot, target))
    except SystemExit:
        raise
    except BaseException as error:  # the interpreter's own last resort, without our frame
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def _start(boot: "dict[str, Any]") -> None:
    if boot["kind"] == "live":
        sys.argv[:] = boot["argv"] or [""]
        serve_session(_main_module(boot, None))
    else:
        _run(boot)


if "_WAITS" not in globals():
    _start(_begin())
else:  # a template, whose guests begin when they are there
    _site_builtins()
    if "prepare_session" in globals():
        prepare_session()
