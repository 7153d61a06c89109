from arms import attempt, call


@attempt
def deed():
    return (
        call(
            "perf_event_open",
            (1).to_bytes(4, "little")
            + (128).to_bytes(4, "little")
            + bytes(32)
            + (0x61).to_bytes(8, "little")
            + bytes(80),
            0,
            -1,
            -1,
            0,
        )
        >= 0
    )
