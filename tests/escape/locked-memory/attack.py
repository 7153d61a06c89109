import ctypes

from arms import any_works, attempt, native


@attempt
def deed():
    room = ctypes.create_string_buffer(96 << 20)
    return any_works(
        lambda: native("mlock", ctypes.c_void_p(ctypes.addressof(room)), 96 << 20),
        lambda: native("mlockall", 3),
    )
