"""A guest without walls: a plain Python process that runs the guest's parts on descriptor 3."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import belljar
from belljar.sandbox.bridge.peer import Peer

PARTS = Path(belljar.__file__).parent / "sandbox" / "guest"
#: In this order, behind one another in one file, as in a live guest.
BRIDGE = (
    "keys.py", "records.py", "values.py", "reading.py", "kinds.py", "kinds_read.py", "ops.py",
    "incoming.py", "placing.py", "peer.py",
)  # fmt: skip

#: What answers where no other main is given: `run` executes source with `peer` in its names, and
#: gives its last expression's value; `call` calls what `run` left, `get` and `put` its names.
MAIN = """
import ast, sys
names = {"__name__": "__main__"}
def serve(op, body, request):
    if op == "run":
        tree = ast.parse(body[0])
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<run>", "exec"), names)
        if last is not None:
            return eval(compile(ast.Expression(last.value), "<run>", "eval"), names)
    elif op == "call":
        return names[body[0]](*body[1], **body[2])
    elif op == "get":
        return names[body]
    elif op == "put":
        names[body[0]] = body[1]
peer = names["peer"] = Peer(3, serve)
peer.loop()
"""


def source(*further: str, main: str = MAIN) -> str:
    """The parts of the bridge, then `further` ones by name, then `main`."""
    texts = [(PARTS / name).read_text("utf-8") for name in (*BRIDGE, *further)]
    return "\n".join([*texts, main])


class Plain:
    """`with Plain() as guest: guest.peer.request("run", ("1+1",))`; `serve` is the host's part.

    `python` may be another interpreter, `keep` are descriptors that it inherits.
    The process is killed at the end if it does not go.
    """

    def __init__(
        self,
        serve: Any = lambda op, body, request: None,
        *further: str,
        main: str = MAIN,
        python: str = sys.executable,
        limits: Any = None,
        refer: Any = None,
        resolve: Any = None,
        keep: tuple[int, ...] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        text = source(*further, main=main)
        read, write = os.pipe()
        end = theirs.fileno()
        code = (
            f"import os\ntext = open({read}).read()\n"
            f"if {end} != 3: os.dup2({end}, 3); os.close({end})\n"
            "exec(compile(text, '/belljar/boot.py', 'exec'))"
        )
        self.process = subprocess.Popen(
            [python, "-I", "-S", "-c", code], pass_fds=(end, read, *keep)
        )
        theirs.close()
        os.close(read)
        with open(write, "w", encoding="utf-8") as out:
            out.write(text)
        self.sock = ours
        self.peer = Peer(ours, serve, limits, refer, resolve)

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        self.peer.close()
        self.sock.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
