from arms import attempt


@attempt
def deed():
    import ctypes

    return ctypes.sizeof(ctypes.c_int) == 4
