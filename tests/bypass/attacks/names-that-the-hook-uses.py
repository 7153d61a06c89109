"""A hook in Python calls what the program can replace (our reading of D^3CTF 2021, gh-87604)."""

import builtins
import sys

builtins.repr = lambda *_: "nothing"
open(sys.argv[1], "w").close()
