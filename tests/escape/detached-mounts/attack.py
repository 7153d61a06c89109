import struct

from arms import P, any_works, attempt, call


@attempt
def deed():
    return any_works(
        lambda: call("open_tree", -100, P["data"].encode(), 1),
        lambda: call("fsopen", b"tmpfs", 0),
        lambda: call("fspick", -100, b"/", 0),
        lambda: call("mount_setattr", -100, b"/", 0, struct.pack("=4Q", 0, 0, 0, 0), 32),
    )
