"""The rule shadowed-module: a file that stands in front of a standard module."""

from __future__ import annotations

import _struct
import shutil

import pytest


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("random.py", "import random"),
        ("random.py", "from random import *"),
        ("colorsys.py", "def late():\n    import colorsys\nlate()"),
        ("wave/__init__.py", "import wave"),
        ("random.py", "import tempfile"),
        ("random.py", "import sys; del sys.path[0]; sys.path.insert(0, '.'); import random"),
    ],
)
def test_a_file_named_like_a_standard_module_fires(fires, tmp_path, name, program):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("Random = None\n")
    fired = fires(program)
    assert fired.what == [f"raised exec {tmp_path / name}"]


@pytest.mark.skipif(not hasattr(_struct, "__file__"), reason="no C module is a file here")
def test_so_does_a_library(watch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(_struct.__file__, home / "_struct.so")
    fired = watch("import sys; sys.path.insert(0, 'home'); import struct")
    assert fired.rules == ["native-code-from-temporary-directory"]  # the stricter of two says it
    other = tmp_path / "rules.toml"
    other.write_text('schema = 1\n[[rule]]\nmatch.shadows = "*"\nthen = "alert"\nid = "mine"\n')
    fired = watch(
        "import sys; sys.path.insert(0, 'home'); import struct",
        "--rules", "none", "--rules", str(other),
    )  # fmt: skip
    assert fired.rules == ["mine"]


@pytest.mark.parametrize(
    "program",
    [
        "import random, tempfile, wave, json, colorsys",
        "import shop.random, shop; from shop import random as own; import random",
        "import random; exec(open('shop/random.py').read())",
        "import runpy; runpy.run_path('shop/random.py')",
        "import tests.test_shop",
        "import test",
    ],
)
def test_a_module_of_a_package_does_not(quiet, tmp_path, program):
    for name in ("shop/__init__.py", "shop/random.py", "tests/test_shop.py", "test.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    quiet(program)
