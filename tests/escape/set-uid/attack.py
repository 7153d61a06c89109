import os

from arms import P, any_works, attempt, call, native


@attempt
def deed():
    o = P["out"].encode()
    fd = os.open(o + b"/f", os.O_RDWR | os.O_CREAT)
    return any_works(
        lambda: native("chmod", o + b"/f", 0o4755),
        lambda: native("fchmod", fd, 0o2755),
        lambda: native("fchmodat", -100, o + b"/f", 0o6755, 0),
        lambda: call("fchmodat2", -100, o + b"/f", 0o4755, 0),
        lambda: native("open", o + b"/g", os.O_CREAT | os.O_WRONLY, 0o4755),
        lambda: native("creat", o + b"/h", 0o4755),
        lambda: native("mkdir", o + b"/d", 0o2777),
        lambda: call("mknodat", -100, o + b"/n", 0o104755, 0),
        lambda: call(
            "openat2",
            -100,
            o + b"/i",
            (0o101).to_bytes(8, "little") + (0o4755).to_bytes(8, "little") + bytes(8),
            24,
        ),
    )
