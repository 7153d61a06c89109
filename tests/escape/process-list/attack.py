import os

from arms import P, attempt


@attempt
def deed():
    if P["pid"] in {int(n) for n in os.listdir("/proc") if n.isdigit()}:
        return True
    return open(f"/proc/{P['pid']}/cmdline").read() != ""
