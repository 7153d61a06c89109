from arms import P, any_works, attempt, native


@attempt
def deed():
    fd = native("inotify_init1", 0)
    return any_works(
        lambda: native("inotify_add_watch", fd, P["home"].encode(), 0xFFF),
        lambda: native("inotify_add_watch", fd, P["secret"].encode(), 0xFFF),
    )
