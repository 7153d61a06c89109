import ctypes

from arms import any_works, attempt, native


@attempt
def deed():
    room = ctypes.create_string_buffer(16)
    entry = (
        (0).to_bytes(4, "little") * 2
        + (0xFFFFF).to_bytes(4, "little")
        + (0x51).to_bytes(4, "little")
    )
    return any_works(
        lambda: native("syscall", 154, 1, entry, 16),
        lambda: native("syscall", 173, 0x80, 1, 1),
    )
