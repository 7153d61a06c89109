import socket
import threading
import time

from arms import P, attempt


def wait():
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", P["full"]))
    s.setblocking(True)
    s.connect_ex(("127.0.0.1", P["full"]))


@attempt
def deed():
    threading.Thread(target=wait, daemon=True).start()
    time.sleep(4.5)
