import os

import numpy
from arms import P, attempt


@attempt
def deed():
    names = {}
    exec(compile("import ctypes", numpy.__file__, "exec"), names)
    ctypes = names["ctypes"]
    fd = ctypes.CDLL(None, use_errno=True).open(os.fsencode(P["secret"]), os.O_RDONLY)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "open")
    print(os.read(fd, 100).decode())
