import struct

from arms import attempt, call, native


@attempt
def deed():
    native("prctl", 38, 1, 0, 0, 0)
    for _ in range(16):
        fd = call("landlock_create_ruleset", struct.pack("=Q", 1), 8, 0)
        call("landlock_restrict_self", fd, 0)
    return True
