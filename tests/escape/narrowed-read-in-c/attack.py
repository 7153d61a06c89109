import os
import struct

from arms import P, any_works, attempt, call, native, read_native

try:
    from belljar.guest import narrow
except ImportError:  # where nothing holds it

    def narrow(**_kept):
        return None


def by_folder():
    folder = native("open", P["other"].encode(), os.O_PATH | os.O_DIRECTORY)
    fd = native("openat", folder, b"victim.txt", os.O_RDONLY)
    print(os.read(fd, 99).decode())


def by_a_wider_layer():
    native("prctl", 38, 1, 0, 0, 0)
    wider = call("landlock_create_ruleset", struct.pack("=Q", 1), 8, 0)
    call("landlock_restrict_self", wider, 0)
    print(read_native(P["other"] + "/victim.txt"))


@attempt
def deed():
    narrow(read=[P["data"]], import_=["ctypes"])
    any_works(
        lambda: print(read_native(P["other"] + "/victim.txt")),
        lambda: print(read_native(P["data"] + "/../other/victim.txt")),
        by_folder,
        by_a_wider_layer,
        lambda: narrow(read=[P["other"]]) and print(read_native(P["other"] + "/victim.txt")),
    )
