"""What may be imported, where its files lie, and what is laid over the others."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from belljar.confine.blocked import blocked_places
from belljar.confine.modules import Named, allowed, cover, inside
from belljar.confine.runtime import Runtime, as_it_is
from belljar.confine.view import View
from belljar.model import Grant, Policy
from belljar.policy.modules import (
    INTERNAL_MODULES,
    OPTIONAL_MODULES,
    SAFE_EXTENSIONS,
    UNSAFE_MODULES,
)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    library = tmp_path / "lib/python3.11"
    dynload, site = library / "lib-dynload", library / "site-packages"
    for folder in (dynload, site / "shop/__pycache__", library / "__pycache__", library / "xml"):
        folder.mkdir(parents=True)
    for name in ("_ctypes", "_json", "_testcapi", "strange"):
        (dynload / f"{name}.cpython-311-x86_64-linux-gnu.so").touch()
    for name in ("socket.py", "__pycache__/socket.cpython-311.pyc", "xml/sax.py"):
        (library / name).touch()
    (site / "shop/till.py").touch()
    (site / "shop/__pycache__/till.cpython-311.pyc").touch()
    return Runtime("/x/python3.11", "3.11.0", str(library), str(dynload), (str(site),), (), ())


def names(policy: Policy, runtime: Runtime, named: Named, isolated: bool = True) -> set[str]:
    """What is covered, by the beginnings of the names."""
    view = View(isolated)
    cover(view, policy, runtime, named, as_it_is(runtime), "/empty")
    return {Path(path).name.partition(".")[0] for path, _ in view.mounts}


def test_only_what_is_known_to_be_safe_can_be_loaded(runtime: Runtime) -> None:
    assert names(Policy(), runtime, Named()) == {"_ctypes", "_testcapi", "strange"}
    assert names(Policy(extensions="all"), runtime, Named()) == set()
    named = Policy(extensions="named", grants=(Grant("import", "_json", "--import"),))
    assert names(named, runtime, Named()) == {"_ctypes", "_testcapi", "strange"}
    assert names(named.replace(grants=()), runtime, Named()) >= {"_json"}
    assert names(Policy(), runtime, Named(), isolated=False) == set()


def test_what_is_named_may_have_ctypes_which_its_owner_asks_for(runtime: Runtime) -> None:
    named = Named(("/site/numpy",), ("/site/numpy",))
    assert names(Policy(), runtime, named) == {"_testcapi", "strange"}
    granted = Policy(grants=(Grant("import", "ctypes", "--import"),))
    assert names(granted, runtime, Named()) == {"_testcapi", "strange"}
    assert names(granted.replace(block=("ctypes",)), runtime, named) >= {"_ctypes"}


def test_blocked_modules_are_found_with_all_their_files(runtime: Runtime) -> None:
    files, folders = blocked_places(("socket", "xml", "Shop.till"), runtime)
    assert {Path(path).name for path in files} == {
        "socket.py", "socket.cpython-311.pyc", "till.py", "till.cpython-311.pyc",
    }  # fmt: skip
    assert folders == {f"{runtime.stdlib}/xml"}
    assert blocked_places(("marshal", "nosuch.module"), runtime) == (set(), set())


def test_nothing_is_laid_upon_a_link(runtime: Runtime) -> None:
    (Path(runtime.stdlib) / "linked.py").symlink_to("/etc/passwd")
    assert blocked_places(("linked",), runtime) == (set(), set())


def test_the_guard_is_told_names_in_one_form(runtime: Runtime) -> None:
    said = allowed(Policy(block=("Zope.Interface", "ctypes")), runtime, Named())
    assert said["block"] == ["ctypes", "zope-interface"]
    assert said["names"] == []
    assert not allowed(Policy(extensions="named"), runtime, Named())["safe"]


def test_an_interpreter_that_has_ctypes_built_in_is_known(runtime: Runtime) -> None:
    assert inside(runtime) == ()
    assert inside(runtime.replace(dynload="")) == ("_ctypes",)
    ours = inside(runtime.replace(program=str(Path(sys.executable).resolve())))
    assert set(ours) == set(sys.builtin_module_names) & set(UNSAFE_MODULES)


def test_every_c_module_of_this_python_is_known_to_one_list() -> None:
    folder = next(entry for entry in sys.path if entry.endswith("lib-dynload"))
    found = {path.name.partition(".")[0] for path in Path(folder).glob("*.so")}
    odd = {"nis", "spwd", "ossaudiodev", "xxlimited", "xxlimited_35", "xxlimited_3_13"}
    odd |= {"xxsubtype"}
    interpreters = {"_interpchannels", "_interpqueues", "_xxinterpchannels"}
    assert found <= SAFE_EXTENSIONS | set(UNSAFE_MODULES) | odd | interpreters
    assert not SAFE_EXTENSIONS & (set(UNSAFE_MODULES) | odd | interpreters)
    assert set(INTERNAL_MODULES) <= SAFE_EXTENSIONS


def tried_and_caught(source: str) -> set[str]:
    """The unsafe modules that a file imports where it catches that there are none."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Try):
            continue
        if not any("ImportError" in ast.unparse(h.type) for h in node.handlers if h.type):
            continue
        for one in (inner for line in node.body for inner in ast.walk(line)):
            if isinstance(one, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in one.names}
            elif isinstance(one, ast.ImportFrom) and one.module and not one.level:
                found.add(one.module.partition(".")[0])
    return found & set(UNSAFE_MODULES)


def test_what_the_library_tries_and_does_without_is_known() -> None:
    library = Path(os.__file__).parent
    elsewhere = {"ctypes", "_ctypes"}  # for Windows, macOS and Android, and ctypes for itself
    for path in library.rglob("*.py"):
        if {"test", "tests", "site-packages", "dist-packages", "idlelib"} & set(path.parts):
            continue
        try:
            source = path.read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a file for tests of encodings, or a link that leads nowhere
        if "ImportError" in source and any(name in source for name in UNSAFE_MODULES):
            for name in tried_and_caught(source) - elsewhere:
                assert str(path).endswith(OPTIONAL_MODULES[name]), (path, name)
    assert set(OPTIONAL_MODULES) <= set(UNSAFE_MODULES)
