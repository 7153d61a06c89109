from arms import P, any_works, attempt, native


@attempt
def deed():
    times = (1).to_bytes(8, "little") * 4
    any_works(
        lambda: native("utimensat", -100, P["secret"].encode(), times, 0),
        lambda: native("utimes", f"{P['data']}/notes.txt".encode(), times),
    )
