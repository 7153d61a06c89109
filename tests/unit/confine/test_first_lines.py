"""The parts that run inside are one file, made once, under a neutral name."""

from __future__ import annotations

import ast
import marshal
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import belljar
from belljar.confine.first_lines import LATER, LIVE_PARTS, NAME, PARTS, boot_file
from belljar.confine.runtime import Runtime

FOLDER = str(Path(belljar.__file__).parent / "sandbox/guest")
OURS = Runtime("", "{}.{}.{}".format(*sys.version_info[:3]), "", "", (), (), ())


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "guest"
    folder.mkdir()
    for number, name in enumerate(PARTS):
        (folder / name).write_text(f"x{number} = {number}\n")
    for name in LATER:
        (folder / name).write_text("later = 1 + globals().get('later', 0)\n")
    return folder


def test_they_are_compiled_once_for_our_own_version(parts: Path, tmp_path: Path) -> None:
    kept = Path(boot_file(str(parts), OURS, str(tmp_path), ""))
    names: dict[str, Any] = {}
    code = marshal.loads(kept.read_bytes()[16:])
    exec(code, names)
    assert [names[f"x{number}"] for number in range(len(PARTS))] == list(range(len(PARTS)))
    assert code.co_filename == NAME
    exec(marshal.loads(names["NARROW"]), names)
    assert names["later"] == len(LATER)
    assert boot_file(str(parts), OURS, str(tmp_path), "") == str(kept)
    (parts / "boot.py").write_text("x = 22\n")
    assert boot_file(str(parts), OURS, str(tmp_path), "") != str(kept)


def test_another_version_compiles_them_itself_under_the_same_name(
    parts: Path, tmp_path: Path
) -> None:
    (parts / "boot.py").write_text("import sys\nfile = sys._getframe().f_code.co_filename\n")
    kept = boot_file(str(parts), OURS.replace(version="3.8"), None, str(tmp_path))
    assert kept.endswith(".py")
    assert Path(kept).parent == tmp_path
    assert os.stat(kept).st_mode & 0o777 == 0o644
    names: dict[str, Any] = {}
    exec(Path(kept).read_text(), names)
    assert names["file"] == NAME
    assert names["NARROW"].count("later = 1") == len(LATER)


def test_the_parts_are_all_there_is_and_import_nothing_of_the_host() -> None:
    assert {*PARTS, *LIVE_PARTS, *LATER, "__init__.py", "processes.py", "template.py"} == {
        p.name for p in Path(FOLDER).iterdir() if p.suffix == ".py"
    }
    for part in {*PARTS, *LIVE_PARTS, *LATER}:
        text = (Path(FOLDER) / part).read_text("utf-8")
        for line in text.splitlines():
            if "import" in line.split() and "belljar" in line:
                assert line.strip().startswith("from belljar.sandbox.guest"), line


def test_no_part_defines_a_name_of_another_for_something_else() -> None:
    """They are one namespace inside: the later one would take the place of the earlier."""
    found: dict[str, set[str]] = {}
    for part in LIVE_PARTS:
        tree = ast.parse((Path(FOLDER) / part).read_text("utf-8"))
        for node in tree.body:
            names: list[str] = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [t.id for one in node.targets for t in ast.walk(one)
                         if isinstance(t, ast.Name) and isinstance(t.ctx, ast.Store)]  # fmt: skip
            for name in names:
                text = ast.dump(node.value) if isinstance(node, ast.Assign) else part
                found.setdefault(name, set()).add(text)
    assert {name for name, where in found.items() if len(where) > 1} == set()


def test_a_live_guest_has_a_file_of_its_own(tmp_path: Path) -> None:
    one, other = (boot_file(FOLDER, OURS, str(tmp_path), "", p) for p in (PARTS, LIVE_PARTS))
    assert one != other
    assert len(Path(other).name) < 200
    assert Path(other).stat().st_size > Path(one).stat().st_size


def test_threads_that_make_it_at_once_get_one_file(tmp_path: Path) -> None:
    runtime = OURS
    with ThreadPoolExecutor(8) as pool:
        made = {future.result() for future in [
            pool.submit(boot_file, FOLDER, runtime, str(tmp_path), None) for _ in range(32)
        ]}  # fmt: skip
    assert [Path(one).name for one in made] == [p.name for p in tmp_path.iterdir()]
