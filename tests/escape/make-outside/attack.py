import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    o = P["other"].encode()
    out = P["out"].encode()
    os.close(os.open(out + b"/mine", os.O_CREAT | os.O_WRONLY))
    any_works(
        lambda: native("mkdir", o + b"/new", 0o755),
        lambda: native("symlink", b"/etc", o + b"/link"),
        lambda: native("link", out + b"/mine", o + b"/hard"),
        lambda: native("rename", out + b"/mine", o + b"/moved"),
        lambda: native("open", o + b"/made", os.O_CREAT | os.O_WRONLY, 0o644),
        lambda: native("open", out + b"/../other/made", os.O_CREAT | os.O_WRONLY, 0o644),
    )
