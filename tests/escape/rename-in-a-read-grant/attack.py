from arms import P, any_works, attempt, native


@attempt
def deed():
    d = P["data"].encode()
    any_works(
        lambda: native("rename", d + b"/deep", d + b"/deeper"),
        lambda: native("unlink", d + b"/link"),
        lambda: native("mkdir", d + b"/new", 0o755),
        lambda: native("symlink", b"notes.txt", d + b"/again"),
        lambda: native("link", d + b"/notes.txt", d + b"/second"),
    )
