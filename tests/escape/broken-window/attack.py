import builtins
import os
import sys

from arms import P, attempt, read_native


class Lie(str):
    def __str__(self):
        return "/box/x"

    __repr__ = __fspath__ = __str__

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


@attempt
def deed():
    import ctypes

    assert ctypes
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.audit = lambda *a: None
    builtins.open = os.open
    for name in list(os.environ):
        del os.environ[name]
    os.environ["BELLJAR_STRICT"] = "0"
    try:
        print(builtins.open(Lie(P["secret"]), 0))
    except OSError:
        pass
    print(read_native(P["secret"]))
