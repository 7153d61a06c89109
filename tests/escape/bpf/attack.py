from arms import attempt, call


@attempt
def deed():
    return (
        call(
            "bpf",
            0,
            (2).to_bytes(4, "little")
            + (4).to_bytes(4, "little") * 2
            + (1).to_bytes(4, "little")
            + bytes(112),
            128,
        )
        >= 0
    )
