import os
import sys

import numpy
from arms import P, attempt


@attempt
def deed():
    assert numpy.ctypeslib
    library = sys.modules["ctypes"].CDLL(None, use_errno=True)
    fd = library.open(os.fsencode(P["secret"]), os.O_RDONLY)
    if fd < 0:
        raise OSError(sys.modules["ctypes"].get_errno(), "open")
    print(os.read(fd, 100).decode())
