import importlib

import numpy
from arms import attempt


@attempt
def deed():
    assert numpy.ctypeslib
    ctypes = importlib.import_module("ctypes")
    return bool(ctypes.CDLL(None))
