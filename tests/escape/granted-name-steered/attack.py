"""Make the granted name stand for another machine, then connect to it as the grant allows."""

import os
import socket
from pathlib import Path

from arms import P, attempt


def steer():
    (Path(P["out"]) / "aliases").write_text("localhost other.test\n")
    os.environ["HOSTALIASES"] = P["out"] + "/aliases"
    os.environ["RES_OPTIONS"] = "ndots:0"


@attempt
def deed():
    steer()
    socket.create_connection(("127.0.0.2", P["granted"]), 2)
