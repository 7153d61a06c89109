from arms import P, attempt, call, native


@attempt
def deed():
    call("unshare", 0x20000)
    native("mount", None, b"/", None, 0x4000 | 0x80000, None)  # in a namespace of one's own
    native("mount", b"none", P["data"].encode(), b"tmpfs", 0, None)
    return True
