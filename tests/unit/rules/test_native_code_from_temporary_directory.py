"""The rule native-code-from-temporary-directory."""

from __future__ import annotations

import _struct
import os
import shutil
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(_struct, "__file__"), reason="this Python has no C module as a file"
)


@pytest.fixture
def library(tmp_path):
    """A C module where nobody may write but us, and one in a temporary directory."""
    assert str(tmp_path).startswith("/tmp/"), "these tests need a temporary directory in /tmp"
    place = tmp_path / "dropped.so"
    shutil.copy(_struct.__file__, place)
    return place


@pytest.mark.parametrize(
    "program",
    [
        "import ctypes; ctypes.CDLL('{library}')",
        "import ctypes; ctypes.CDLL('./dropped.so')",
        "import ctypes, os; os.chdir('..'); ctypes.PyDLL('{folder}/dropped.so')",
        "import importlib.machinery as m, importlib.util as u\n"
        "u.module_from_spec(u.spec_from_loader('_struct',\n"
        "    m.ExtensionFileLoader('_struct', '{library}')))",
        "import ctypes, os; fd = os.memfd_create('x')\n"
        "os.write(fd, open('{library}', 'rb').read())\n"
        "ctypes.CDLL(f'/proc/self/fd/{{fd}}')",
    ],
)
def test_a_library_in_a_temporary_directory_fires(fires, library, program):
    fires(program.format(library=library, folder=library.parent.name))


def test_libraries_of_the_interpreter_and_of_the_system_do_not_fire(quiet):
    quiet(
        "import _struct, ctypes, sqlite3\nctypes.CDLL('libc.so.6'); ctypes.CDLL(None)\n"
        f"ctypes.CDLL({_struct.__file__!r})"
    )


def test_an_environment_in_a_temporary_directory_does_not_fire(quiet, tmp_path):
    place = f"lib/python3.{sys.version_info[1]}/site-packages"
    os.makedirs(tmp_path / "venv" / place)
    shutil.copy(_struct.__file__, tmp_path / "venv" / place / "extension.so")
    quiet(f"import ctypes; ctypes.CDLL('venv/{place}/extension.so')")
