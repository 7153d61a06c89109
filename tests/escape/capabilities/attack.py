import ctypes

from arms import attempt, native


@attempt
def deed():
    head = (0x20080522).to_bytes(4, "little") + bytes(4)
    room = ctypes.create_string_buffer(24)
    native("capget", head, room)
    if not any(room.raw):
        native("capset", head, b"\xff\xff\xff\xff" * 2 + bytes(16))
    return True
