"""The rule hook-tampering: what is done by those who want not to be seen."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.addaudithook(lambda *a: None)",
        "import ctypes; ctypes.c_char.in_dll(ctypes.pythonapi, '_PyRuntime')",
        "import ctypes; ctypes.pythonapi.PySys_AddAuditHook",
        "import ctypes; hasattr(ctypes.CDLL(None), '_PySys_ClearAuditHooks')",
        "open('/proc/self/mem', 'r+b').close()",
        "import os; open(f'/proc/{os.getpid()}/mem', 'wb').close()",
        "import os; os.close(os.open('/proc/self/task/../mem', os.O_RDWR))",
        "import os; os.chdir('/proc/self'); open('mem', 'r+b').close()",
        "import os; os.chdir('/proc/self'); os.close(os.open('mem', os.O_WRONLY))",
        "import os; d = os.open('/proc/self', os.O_RDONLY)\n"
        "os.close(os.open('mem', os.O_RDWR, dir_fd=d))",
        "import os; open(os.environ['BELLJAR_CHANNEL'], 'wb').close()",
        "import os; os.remove(os.environ['BELLJAR_CHANNEL'])",
    ],
)
def test_an_attempt_fires(fires, program):
    fires(program)


def test_a_link_to_the_memory_fires_where_links_are_followed(watch):
    program = "import os; os.symlink('/proc/self/mem', 'x'); open('x', 'r+b').close()"
    assert watch(program, "--resolve").rules == ["hook-tampering"]


@pytest.mark.parametrize(
    "program",
    [
        "pass",
        "import ctypes; ctypes.pythonapi.Py_IncRef; ctypes.CDLL(None).getpid",
        "open('/proc/self/status').read(); open('/proc/self/maps').read()",
        "import os; os.mkdir('memory'); open('memory/mem.txt', 'w').close()",
        "import sys; sys.audit('shop.refund', 1); sys.settrace(None)",
        "import os, unittest.mock\nwith unittest.mock.patch.dict(os.environ, clear=True): pass",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'], check=True)",
    ],
)
def test_ordinary_programs_do_not(quiet, program):
    quiet(program)
