import os
import socket

from arms import P, attempt


@attempt
def deed():
    return P["hostname"] in (os.uname().nodename, socket.gethostname())
