"""Runs a program beneath a hook in Python, which writes down what it hears: LOG PROGRAM ..."""

import os
import runpy
import sys

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
enabled = True


def hook(event, args):
    if enabled:
        os.write(log, " ".join((event, repr(args), "\n")).encode("utf-8", "replace"))


del sys.argv[:2]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
sys.addaudithook(hook)
runpy.run_path(sys.argv[0], run_name="__main__")
