from arms import attempt


@attempt
def deed():
    kept = [bytearray(1 << 20) for _ in range(400)]
    return len(kept) == 400
