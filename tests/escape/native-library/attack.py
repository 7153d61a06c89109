import ctypes

from arms import P, attempt


@attempt
def deed():
    ctypes.CDLL(P["data"] + "/native.so").say_effect()
