import ctypes
import shutil
import tempfile

from arms import P, attempt


@attempt
def deed():
    tried = []
    for folder in (tempfile.mkdtemp(), P["out"]):
        try:
            copy = shutil.copy(P["data"] + "/native.so", folder)
            ctypes.CDLL(copy).say_effect()
        except OSError as error:
            tried.append(error)
    raise tried[0]
