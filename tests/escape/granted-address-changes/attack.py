import ctypes
import socket
import threading

from arms import P, attempt, in4, native


@attempt
def deed():
    good, bad = in4(P["granted"]), in4(P["tcp"])
    place = ctypes.create_string_buffer(good, 16)
    stop = []

    def flip():
        while not stop:
            ctypes.memmove(place, bad, 16)
            ctypes.memmove(place, good, 16)

    thread = threading.Thread(target=flip)
    thread.start()
    for _ in range(150):
        fd = native("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
        try:
            native("connect", fd, place, 16)
        except OSError:
            pass
        native("close", fd)
    stop.append(1)
    thread.join()
