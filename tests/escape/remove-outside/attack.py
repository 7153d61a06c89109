from arms import P, any_works, attempt, native


@attempt
def deed():
    o = P["other"].encode()
    any_works(
        lambda: native("unlink", o + b"/victim.txt"),
        lambda: native("rename", o + b"/one.conf", o + b"/two.conf"),
        lambda: native("unlinkat", -100, o + b"/../other/one.conf", 0),
    )
