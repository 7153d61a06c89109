"""The architecture, checked: a room imports only from rooms that stand below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import belljar

#: Top to bottom, as in ARCHITECTURE.md.
ROOMS = (
    "cli", "adapters", "report", "sandbox", "watch", "verify",
    "confine", "ledger", "policy", "events", "_native",
)  # fmt: skip
DOORWAYS = ("model", "errors")
ROOT = Path(belljar.__file__).parent
REPOSITORY = Path(__file__).parents[2]


def imports(path: Path) -> set[str]:
    """The rooms and doorways that a file imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "belljar" and len(parts) > 1:
                found.add(parts[1])
    return found


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_below_it(room: str) -> None:
    below = {*ROOMS[ROOMS.index(room) :], *DOORWAYS, "__version__"}
    for path in sources(room):
        wrong = {name for name in imports(path) if name not in below}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


@pytest.mark.parametrize("module", DOORWAYS)
def test_the_doorways_import_nothing_of_ours(module: str) -> None:
    assert not imports(ROOT / f"{module}.py")


def test_every_folder_of_the_package_is_a_room() -> None:
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(ROOMS)


def test_what_runs_in_the_guest_needs_nothing_of_the_host() -> None:
    for path in sources("sandbox/guest"):
        assert imports(path) <= {"sandbox"}, path  # its own parts, for the type checker alone


def test_policy_and_decisions_touch_nothing_outside() -> None:
    banned = {"socket", "subprocess", "time", "datetime", "random", "shutil", "tempfile"}
    for path in sources("policy"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert not {a.name for a in node.names} & banned, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "open" or path.name == "file.py", path


def test_files_stay_small_enough_to_read() -> None:
    folders = [REPOSITORY / "src", REPOSITORY / "tests", REPOSITORY / "bench", REPOSITORY / "demo"]
    long = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix in (".py", ".c", ".h") and not path.name.startswith("syscalls_"):
                lines = len(path.read_text("utf-8").splitlines())
                if lines > 400:
                    long[str(path)] = lines
    assert not long


def test_what_a_run_needs_before_its_guest_imports_nothing_slow() -> None:
    """Every import before the guest starts is paid by every run."""
    import subprocess
    import sys

    code = (
        "import sys; before = set(sys.modules)\n"
        "import belljar.cli.run, belljar.sandbox.run, belljar.confine.status, belljar.ledger\n"
        "import belljar.confine.available, belljar.policy.flags\n"
        "import belljar.confine.plan, belljar.confine.overlay, belljar.confine.appended\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    slow = {
        "typing", "dataclasses", "enum", "re", "json", "collections", "functools", "argparse",
        "pathlib", "logging", "subprocess", "socket", "tempfile", "shutil", "hashlib", "tomllib",
        "msgspec", "ipaddress", "importlib.metadata",
    }  # fmt: skip
    new = set(run.stdout.decode().split())
    assert not new & slow
