"""Bind as granted, then make of the socket what was not granted."""

import os
import socket

from arms import P, any_works, attempt, native


@attempt
def deed():
    path, word = P["unix"].encode(), P["nonce"].encode()

    def reach():
        s = socket.socket(socket.AF_UNIX)
        s.bind(P["out"] + "/app.sock")
        try:
            native("connect", s.fileno(), b"\x01\x00" + path, 2 + len(path))
            s.send(word)
        finally:
            s.close()
            try:
                os.unlink(P["out"] + "/app.sock")
            except OSError:
                pass

    def swap():  # a link of ours in its place
        os.symlink(P["unix"], P["out"] + "/app.sock")
        s = socket.socket(socket.AF_UNIX)
        native(
            "connect",
            s.fileno(),
            b"\x01\x00" + P["out"].encode() + b"/app.sock",
            11 + len(P["out"]),
        )

    return any_works(reach, swap)
