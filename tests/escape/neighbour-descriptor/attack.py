import os
import socket

from arms import P, attempt


@attempt
def deed():
    s = socket.socket(socket.AF_UNIX)
    s.connect(P["out"] + "/neighbour.sock")
    _, fds, _, _ = socket.recv_fds(s, 10, 4)
    print(os.pread(fds[0], 100, 0).decode())
