from arms import P, attempt, native


@attempt
def deed():
    try:
        native("unshare", 0x10000000 | 0x20000)
    except OSError:
        pass
    native("mount", b"x", P["out"].encode(), b"tmpfs", 0, None)
    return True
