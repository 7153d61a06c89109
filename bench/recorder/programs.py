"""Whole programs: what the recorder adds to each, beside a hook in Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Of the pyperformance suite: those that need nothing but it, arithmetic and input alike.
BENCHMARKS = (
    "argparse", "chaos", "comprehensions", "deepcopy", "deltablue", "float", "go", "json_dumps",
    "logging", "nbody", "pathlib", "pickle", "pprint", "regex_compile", "richards", "sqlite_synth",
    "xml_etree",
)  # fmt: skip
IMPORTS = "import asyncio, http.client, email.message, xml.etree.ElementTree, sqlite3"


#: What some of them want to be told.
MORE = {"argparse": ("many_optionals",), "pickle": ("pickle",)}
ENOUGH = 0.8  # seconds that a program should take


def _long_enough(words: list[str]) -> list[str]:
    """The command that runs a benchmark's loop as often as it takes."""
    loops = 1
    while True:
        argv = [sys.executable, *words, "--worker", "--loops", str(loops)]
        argv += ["--warmups", "0", "--values", "1"]
        start = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - start
        if took >= ENOUGH or loops > 1 << 16:
            return argv
        loops = max(loops + 1, min(loops * 10, round(loops * 1.1 * ENOUGH / took)))


class Program:
    """A command line and what must be put right before each run of it."""

    def __init__(
        self, name: str, argv: list[str], prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.name, self.argv, self.prepare = name, argv, prepare


def _suite() -> Path:
    import pyperformance

    return Path(pyperformance.__file__).parent / "data-files" / "benchmarks"


def _pip(folder: Path) -> Program:
    """Resolving and installing from an index of wheels on disk, without a network."""
    index, target = folder / "index", folder / "target"
    index.mkdir()
    for name, needs in (("top", "middle"), ("middle", "bottom>=1"), ("bottom", "")):
        source = folder / name
        (source / name).mkdir(parents=True)
        (source / name / "__init__.py").write_text("x = 1\n" * 200)
        deps = f'dependencies = ["bench-{needs}"]' if needs else ""
        (source / "pyproject.toml").write_text(
            f'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "bench-{name}"\nversion = "1.0"\n{deps}\n'
            f'[tool.setuptools]\npackages = ["{name}"]\n'
        )
        build = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "-w",
            str(index),
            str(source),
        ]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index"]
    install += ["--find-links", str(index), "--target", str(target), "bench-top"]
    return Program(
        "pip resolve", [sys.executable, *install], lambda: shutil.rmtree(target, ignore_errors=True)
    )


def _pytest(folder: Path) -> Program:
    """pytest on attrs' kind of package: many small tests, written here."""
    tests = folder / "tests"
    tests.mkdir()
    for n in range(20):
        body = "".join(
            f"def test_{i}(tmp_path):\n    p = tmp_path / 'x'\n    p.write_text('{i}')\n"
            f"    assert sum(range({i * 500})) >= 0 and p.read_text() == '{i}'\n"
            for i in range(20)
        )
        (tests / f"test_{n}.py").write_text(body)
    return Program(
        "pytest, 400 tests",
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
    )


@contextmanager
def programs(only: str) -> Iterator[list[Program]]:
    """All programs whose name contains `only`, ready to run; their files go with the context."""
    with tempfile.TemporaryDirectory(prefix="bench-programs-") as name:
        folder = Path(name)
        found = [Program("import set", [sys.executable, "-c", IMPORTS])]
        library = Path(os.__file__).parent
        small = folder / "library"
        skip = shutil.ignore_patterns(
            "test", "tests", "site-packages", "__pycache__", "idlelib", "config-*", "*.so"
        )
        shutil.copytree(library, small, ignore=skip)

        def forget() -> None:
            for cache in small.rglob("__pycache__"):
                shutil.rmtree(cache)

        found.append(
            Program(
                "compileall stdlib", [sys.executable, "-m", "compileall", "-q", str(small)], forget
            )
        )
        if only in "pip resolve":
            found.append(_pip(folder))
        if only in "pytest, 400 tests":
            found.append(_pytest(folder))
        suite = _suite()
        for bench in BENCHMARKS:
            if only in bench:
                script = suite / f"bm_{bench}" / "run_benchmark.py"
                found.append(Program(bench, _long_enough([str(script), *MORE.get(bench, ())])))
        yield [program for program in found if only in program.name]
