"""Hooks do not survive an exec; the environment that could bring them back is empty."""

import os
import sys

os.execve(sys.executable, ["python", "-ISc", "import sys; open(sys.argv[1], 'w')", sys.argv[1]], {})
