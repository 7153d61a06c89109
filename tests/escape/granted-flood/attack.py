"""More connections than were granted, kept open, and copies of them."""

import os
import socket

from arms import P, attempt


@attempt
def deed():
    kept = []
    try:
        for _ in range(40):
            s = socket.create_connection(("127.0.0.1", P["granted"]), 5)
            kept.append(os.dup(s.fileno()))
            s.close()
    finally:
        if len(kept) > 20:
            print("EFFECT")
