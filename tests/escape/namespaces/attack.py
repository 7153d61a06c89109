from arms import any_works, attempt, call, native


@attempt
def deed():
    return any_works(
        lambda: native("unshare", 0x10000000),
        lambda: native("unshare", 0x20000),
        lambda: call("setns", 0, 0),
    )
