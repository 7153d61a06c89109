import ctypes
import struct

from arms import any_works, attempt, call, native

LOG, ALLOW, ERRNO = 0x7FFC0000, 0x7FFF0000, 0x50001
NOBODYS = 449  # futex_waitv: a call that nothing here makes


def program(answer):
    """A filter, and what keeps it alive: that one call is answered so."""
    code = ctypes.create_string_buffer(
        struct.pack("=HBBI", 0x20, 0, 0, 0)
        + struct.pack("=HBBI", 0x15, 0, 1, NOBODYS)
        + struct.pack("=HBBI", 6, 0, 0, answer)
        + struct.pack("=HBBI", 6, 0, 0, ALLOW)
    )
    return struct.pack("@HxxxxxxP", 4, ctypes.addressof(code)), code


@attempt
def deed():
    native("prctl", 38, 1, 0, 0, 0)
    logs, _one = program(LOG)
    fails, _other = program(ERRNO)
    return any_works(
        lambda: call("seccomp", 1, 0, logs),
        lambda: call("seccomp", 1, 1, logs),  # in all threads
        lambda: call("seccomp", 1, 2, fails),  # SECCOMP_FILTER_FLAG_LOG
        lambda: native("prctl", 22, 2, logs),
        lambda: call("seccomp", 1, 0, fails),  # no other one, either
    )
