# flags: --read {out} --write {out}
# args: {out}
# prints: 2 passed, 1 failed
"""pytest itself: assertions that it rewrites, fixtures, a failure."""

import contextlib
import io
import os
import re
import sys

import pytest

os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # whatever else is installed
folder = sys.argv[1]
with open(folder + "/test_it.py", "w") as file:
    file.write(
        "import pytest\n"
        "@pytest.fixture\ndef three():\n    return 3\n"
        "def test_right(three):\n    assert three == 3\n"
        "def test_wrong(three):\n    assert three == 4\n"
        "@pytest.mark.parametrize('n', [1])\ndef test_each(n):\n    assert n\n"
    )
said = io.StringIO()
with contextlib.redirect_stdout(said):
    status = pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", folder, folder])
assert status == 1
assert "assert 3 == 4" in said.getvalue()
counts = dict(
    reversed(pair) for pair in re.findall(r"(\d+) (\w+)", said.getvalue().splitlines()[-1])
)
print(f"{counts['passed']} passed, {counts['failed']} failed")
