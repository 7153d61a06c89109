import sys

from arms import P, attempt


@attempt
def deed():
    sys.path.insert(0, P["data"])
    __import__("native")
