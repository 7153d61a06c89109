from arms import P, any_works, attempt, call, native


@attempt
def deed():
    info = (
        (9).to_bytes(4, "little") + bytes(4) + (-1).to_bytes(4, "little", signed=True) + bytes(116)
    )
    any_works(
        lambda: call("tkill", P["pid"], 9),
        lambda: native("tgkill", P["pid"], P["pid"], 9),
        lambda: call("rt_sigqueueinfo", P["pid"], 9, info),
    )
