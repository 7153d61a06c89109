import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    o, out = P["other"].encode(), P["out"].encode()

    def named(folder):
        fd = native("open", folder, os.O_TMPFILE | os.O_RDWR, 0o644)
        native("linkat", -100, f"/proc/self/fd/{fd}".encode(), -100, o + b"/named", 0x400)

    def empty(folder):
        fd = native("open", folder, os.O_TMPFILE | os.O_RDWR, 0o644)
        native("linkat", fd, b"", -100, o + b"/named2", 0x1000)

    any_works(lambda: named(o), lambda: named(out), lambda: empty(o), lambda: empty(out))
