"""Hooks in Python are not there in a subinterpreter."""

import sys

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters
code = f"import os; os.system('touch \"{sys.argv[1]}\"')"
interpreters.run_string(interpreters.create(), code)
