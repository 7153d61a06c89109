import os
import sys
import traceback

from arms import attempt


def seen():
    yield from map(
        str, (dict(os.environ), os.getcwd(), __file__, sys.argv, sys.orig_argv, sys.path)
    )
    yield str({n: m.__dict__.get("__file__") for n, m in sys.modules.items()})
    try:
        raise ValueError
    except ValueError:
        yield traceback.format_exc()
    import ctypes

    library = ctypes.CDLL(None)
    library.getenv.restype = ctypes.c_char_p
    yield str(library.getenv(b"BELLJAR_TEST_SECRET"))


@attempt
def deed():
    print([line for line in seen()])
