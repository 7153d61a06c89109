"""gc finds the objects of a hook in Python, whose code is replaced (hxp 2020, audited)."""

import gc
import sys

for thing in gc.get_objects():
    if type(thing) is type(lambda: 0) and thing.__name__ == "hook":
        thing.__code__ = (lambda event, args: None).__code__
open(sys.argv[1], "w").close()
