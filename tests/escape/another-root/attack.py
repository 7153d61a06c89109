from arms import P, any_works, attempt, call, native


@attempt
def deed():
    return any_works(
        lambda: native("chroot", P["data"].encode()),
        lambda: call("pivot_root", P["data"].encode(), P["data"].encode()),
    )
