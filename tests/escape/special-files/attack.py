import socket

from arms import P, any_works, attempt, call, native


@attempt
def deed():
    o = P["out"].encode()
    s = socket.socket(socket.AF_UNIX)
    return any_works(
        lambda: native("mkfifo", o + b"/fifo", 0o600),
        lambda: call("mknodat", -100, o + b"/sock", 0o140600, 0),
        lambda: call("mknodat", -100, o + b"/null", 0o020666, 0x103),
        lambda: call("mknodat", -100, o + b"/disk", 0o060666, 0x800),
        lambda: native("bind", s.fileno(), b"\1\0" + o + b"/bound\0", 2 + len(o) + 7),
    )
