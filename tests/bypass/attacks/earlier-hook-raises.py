"""A hook that raises when another is added keeps it out, and addaudithook says nothing."""

import sys


def keep_out(event, args):
    if event == "sys.addaudithook":
        raise RuntimeError


sys.addaudithook(keep_out)
heard = []
sys.addaudithook(lambda event, args: heard.append(event))
sys.audit("anything")
assert not heard
open(sys.argv[1], "w").close()
