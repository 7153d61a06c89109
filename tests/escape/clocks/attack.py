import ctypes

from arms import any_works, attempt, native


@attempt
def deed():
    room = ctypes.create_string_buffer(256)
    return any_works(
        lambda: native("adjtimex", room),
        lambda: native("clock_adjtime", 0, room),
    )
