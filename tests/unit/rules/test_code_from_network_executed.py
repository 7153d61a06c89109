"""The rule code-from-network-executed: code of no file, after the network was used."""

from __future__ import annotations

import pytest

CONNECT = """
import socket
with socket.socket() as s:
    s.connect_ex(("127.0.0.1", 9))
"""


@pytest.mark.parametrize(
    "program",
    [
        "exec('x = 1')",
        "eval('1 + 1')",
        "exec(compile('x = 1', '<downloaded>', 'exec'))",
        "import marshal; exec(marshal.loads(marshal.dumps(compile('1', '<m>', 'exec'))))",
        "import os\nif os.fork() == 0: exec('x = 1'); os._exit(0)\nos.wait()",
        "import threading; t = threading.Thread(target=exec, args=('x = 1',)); t.start(); t.join()",
        "import code; code.InteractiveInterpreter().runsource('x = 1')",
    ],
)
def test_text_that_is_executed_after_a_connection_fires(fires, program):
    fires(CONNECT + program)


@pytest.mark.parametrize(
    "program",
    [
        "exec('x = 1')" + CONNECT,
        CONNECT + "import collections; collections.namedtuple('P', 'a b')",
        CONNECT
        + "import dataclasses\n@dataclasses.dataclass(order=True)\nclass D:\n    x: int = 1",
        CONNECT + "import ast; ast.literal_eval('[1]'); compile('1', '<s>', 'eval')",
        CONNECT + "import email, json, http.client, xml.dom, asyncio, unittest.mock, typing",
        CONNECT + "import helper",
        CONNECT + "import runpy; runpy.run_path('helper.py')",
        "import socket; a, b = socket.socketpair(); exec('x = 1')",
    ],
)
def test_code_of_files_and_of_the_library_and_code_before_it_do_not(quiet, tmp_path, program):
    (tmp_path / "helper.py").write_text("x = 1\n")
    quiet(program)


def test_a_local_socket_is_no_network(quiet):
    quiet(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect_ex('/nowhere')\nexec('x = 1')"
    )


def test_what_another_process_connected_to_does_not_count(quiet):
    quiet(
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {CONNECT!r}], check=True)\n"
        "exec('x = 1')"
    )
