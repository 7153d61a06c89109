"""What the interpreter inside is made of, looked at from inside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from belljar.policy.subset import KEPT, NEUTRAL, REMOVED, SYS

COMMAND = [sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())"]
LOOK = """
import json, sys
print(json.dumps({name: repr(type(getattr(sys, name))) for name in dir(sys)}))
"""


def inside(env: dict[str, str], place: Path, code: str, *flags: str, status: int = 0) -> str:
    """The output of `code` in a guest."""
    run = subprocess.run(
        [*COMMAND, "run", "--ledger", "none", "--quiet", *flags, "-c", code, "word"],
        env=env, cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == status, run.stderr
    return run.stdout if status == 0 else run.stderr


@pytest.fixture(scope="module")
def attributes() -> dict[str, str]:
    run = subprocess.run([sys.executable, "-I", "-S", "-c", LOOK], capture_output=True, check=True)
    found: dict[str, str] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    import os

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    found: dict[str, str] = json.loads(inside(env, tmp_path_factory.mktemp("sys"), LOOK))
    return found


@pytest.mark.parametrize("name", sorted(SYS))
def test_an_attribute_of_sys_is_what_the_table_says(
    name: str, attributes: dict[str, str], seen: dict[str, str]
) -> None:
    verdict, _ = SYS[name]
    if verdict == REMOVED:
        assert name not in seen
    elif name in attributes:  # of this version
        assert verdict in (KEPT, NEUTRAL)
        assert seen[name] == attributes[name]


def test_nothing_is_in_sys_that_the_table_does_not_know(seen: dict[str, str]) -> None:
    assert set(seen) <= set(SYS)


def test_the_way_in_is_not_in_the_arguments(clean_env: dict[str, str], tmp_path: Path) -> None:
    code = "import sys; print(sys.orig_argv == [sys.executable, 'word'], sys.argv)"
    assert inside(clean_env, tmp_path, code) == "True ['-c', 'word']\n"


def test_the_library_that_the_linker_finds_is_chosen_where_native_code_is_named(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    code = "import sys; print(hasattr(sys, 'setdlopenflags'))"
    assert inside(clean_env, tmp_path, code) == "False\n"
    assert inside(clean_env, tmp_path, code, "--extensions", "all") == "True\n"


MACHINE = """
import os
print(*os.uname()[:4], os.cpu_count(), len(os.sched_getaffinity(0)), os.getloadavg(),
      os.sysconf("SC_NPROCESSORS_ONLN"), os.sysconf(os.sysconf_names["SC_PHYS_PAGES"]))
"""


def test_the_machine_is_every_machine(clean_env: dict[str, str], tmp_path: Path) -> None:
    told = inside(clean_env, tmp_path, MACHINE, "--memory", "256M")
    assert told == "Linux belljar 5.10.0 #1 1 1 (0.0, 0.0, 0.0) 1 65536\n"
    told = inside(clean_env, tmp_path, MACHINE, "--memory", "256M", "--processes", "3")
    assert told == "Linux belljar 5.10.0 #1 3 3 (0.0, 0.0, 0.0) 3 65536\n"


def test_with_os_info_the_machine_is_this_one(clean_env: dict[str, str], tmp_path: Path) -> None:
    import os

    code = (
        "import os; print(os.uname().release, os.cpu_count()); print(open('/proc/version').read())"
    )
    told = inside(clean_env, tmp_path, code, "--os-info")
    first, version = told.splitlines()[:2]
    assert first == f"{os.uname().release} {os.cpu_count()}"
    assert version == Path("/proc/version").read_text().strip()
    assert "No such file" in inside(clean_env, tmp_path, code, status=1)


@pytest.mark.parametrize(
    ("wanted", "code", "told"),
    [
        ("safe", "import json, builtins; print(len([1]), hasattr(builtins, 'open'))", "1 False\n"),
        ("safe", "class A: pass\nprint(A.__name__, f'{1:>2}')", "A  1\n"),
        ("print,int", "print(int('3'))", "3\n"),
    ],
)
def test_built_ins_that_are_given_work(
    wanted: str, code: str, told: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    assert inside(clean_env, tmp_path, code, "--builtins", wanted) == told


@pytest.mark.parametrize(
    ("wanted", "code", "missing"),
    [
        ("safe", "open('x')", "name 'open' is not defined"),
        ("safe", "eval('1')", "name 'eval' is not defined"),
        ("bare", "import sys", "__import__ not found"),
        ("bare", "print(1)", "name 'print' is not defined"),
        ("bare", "[list, dict]", "name 'list' is not defined"),
        ("print", "len([])", "name 'len' is not defined"),
    ],
)
def test_built_ins_that_are_not_given_are_not_there(
    wanted: str, code: str, missing: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    told = inside(clean_env, tmp_path, code, "--builtins", wanted, status=1)
    assert missing in told


def test_a_module_beside_the_script_has_the_same_built_ins(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text("def look():\n    return open\n")
    (tmp_path / "main.py").write_text(
        "import beside, dataclasses\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n"
        "print(Point(1))\n"
        "try:\n    beside.look()\nexcept NameError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [*COMMAND, "run", "--ledger", "none", "--builtins", "safe", "main.py"],
        env=clean_env, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == "Point(x=1)\nname 'open' is not defined\n"
