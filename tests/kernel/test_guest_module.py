"""`belljar.guest` outside of a sandbox: one clear line, and types for editors and checkers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import belljar

STUB = Path(belljar.__file__).parent / "guest.pyi"


def stub() -> dict[str, ast.stmt]:
    named: dict[str, ast.stmt] = {}
    for node in ast.parse(STUB.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            named[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named[node.target.id] = node
    return named


def keywords(function: ast.stmt) -> set[str]:
    assert isinstance(function, ast.FunctionDef)
    return {one.arg for one in function.args.kwonlyargs}


def test_outside_of_a_sandbox_it_says_that_it_exists_only_inside() -> None:
    for statement in (
        "import belljar.guest",
        "from belljar.guest import host",
        "from belljar import guest",
    ):
        with pytest.raises(ModuleNotFoundError, match="exists only inside a sandbox"):
            exec(statement)
        assert "belljar.guest" not in sys.modules


def test_nothing_of_the_host_imports_it() -> None:
    code = "import sys, belljar; belljar.Sandbox; print('belljar.guest' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"False\n"


def test_the_types_are_of_what_a_guest_has() -> None:
    named = stub()
    with belljar.Sandbox(ledger="none") as box:
        there = box.eval("[n for n in __import__('belljar.guest').guest.__dict__ if n[0] != '_']")
        assert {name for name in named if name[0] != "_"} == set(there)
        box.run("from belljar.guest import *")
        for name in sorted(keywords(named["narrow"])):
            error = box.run(f"narrow({name}=object())").error
            assert "is nothing that a guest can narrow" not in error.message, name  # type: ignore[union-attr]
        sandbox = named["Sandbox"]
        assert isinstance(sandbox, ast.ClassDef)
        functions = {one.name: one for one in sandbox.body if isinstance(one, ast.FunctionDef)}
        for name in sorted(keywords(functions["__init__"])):
            error = box.run(f"Sandbox({name}=(1,))").error
            assert "a guest passes on" not in error.message, name  # type: ignore[union-attr]
        methods = box.eval("dir(Sandbox())")
        assert set(methods) >= {name for name in functions if name[:2] != "__"}


def test_a_guest_that_has_belljar_among_its_modules_has_what_the_guest_offers() -> None:
    modules = str(Path(belljar.__file__).parents[1])
    code = (
        f"import sys\nsys.path.insert(0, {modules!r})\nfor n in list(sys.modules):\n"
        "    if n.startswith('belljar'): del sys.modules[n]\n"
        "import belljar, belljar.guest\nbelljar.__version__, sorted(belljar.guest.narrow())"
    )
    with belljar.Sandbox(ledger="none", read=[modules]) as box:
        result = box.run(code)
        assert result.error is None, result.error.traceback
        assert result.value[0] == belljar.__version__
