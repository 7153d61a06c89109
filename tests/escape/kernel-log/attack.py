import ctypes

from arms import attempt, native


@attempt
def deed():
    return native("klogctl", 3, ctypes.create_string_buffer(64), 64) >= 0
