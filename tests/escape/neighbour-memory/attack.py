import ctypes

from arms import any_works, attempt, call, neighbour, read_native


@attempt
def deed():
    pid = neighbour["pid"]
    room = ctypes.create_string_buffer(64)
    mine = (ctypes.c_size_t * 2)(ctypes.addressof(room), 64)
    theirs = (ctypes.c_size_t * 2)(neighbour["address"], 64)
    return any_works(
        lambda: call("process_vm_readv", pid, mine, 1, theirs, 1, 0),
        lambda: call("ptrace", 0x4206, pid, 0, 0),
        lambda: read_native(f"/proc/{pid}/environ"),
    )
