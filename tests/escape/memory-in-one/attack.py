from arms import attempt


@attempt
def deed():
    return len(bytearray(400 << 20)) > 0
