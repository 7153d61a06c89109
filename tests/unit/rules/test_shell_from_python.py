"""The rule shell-from-python: a shell was started."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.system('true')",
        "import subprocess; subprocess.run('true', shell=True, check=True)",
        "import subprocess; subprocess.run(['sh', '-c', 'true'], check=True)",
        "import os; os.popen('true').close()",
        "import os; os.posix_spawn('/bin/sh', ['sh', '-c', 'true'], {})",
        "import os\nif os.fork() == 0: os.execv('/bin/sh', ['x', '-c', 'true'])\nos.wait()",
        "import pty; pty.spawn(['/bin/sh', '-c', 'true'])",
    ],
)
def test_a_shell_fires_however_it_is_started(fires, program):
    fired = fires(program)
    assert all(what.startswith("wants to run ") for what in fired.what)


def test_one_start_is_one_alert(fires):
    fired = fires("import subprocess; subprocess.run('true', shell=True, check=True)")
    assert fired.what == ["wants to run /bin/sh"]


def test_another_program_does_not_fire(quiet):
    quiet("import subprocess; subprocess.run(['/bin/echo', 'sh'], check=True)")
