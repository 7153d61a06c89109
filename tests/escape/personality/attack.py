from arms import attempt, native


@attempt
def deed():
    native("personality", 0x0040000 | 0x0400000)
    return native("personality", 0xFFFFFFFF) & 0x0040000
