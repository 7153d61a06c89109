"""A guest without walls whose bridge carries large values: a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from belljar.sandbox.live.buffers import Buffers
from belljar.sandbox.live.crossing import LargePeer

sys.path.insert(0, str(Path(__file__).parents[1] / "bridge"))
from plain import MAIN, Plain

sys.path.pop(0)

_MAIN = MAIN.replace("Peer(3, serve)", "LargePeer(3, serve, report)").replace(
    "peer.loop()", "names['array'] = peer.memories.array\npeer.loop()"
).replace(
    'def serve(op, body, request):\n',
    '''def report(error):
    import traceback
    return type(error).__name__, str(error), "".join(traceback.format_exception(error))
def serve(op, body, request):
    if op == "buffer":
        return peer.take_descriptors(body)
''',
)  # fmt: skip


class Arrays(Plain):
    """`with Arrays() as guest: guest.call("f", array)`."""

    def __init__(
        self, serve: Any = lambda op, body, request: None, room: int = 256 << 20, **more: Any
    ) -> None:
        super().__init__(
            serve, "forms.py", "pages.py", "tables.py", "buffers.py", main=_MAIN, **more
        )
        self.buffers = Buffers(room)
        self.peer = LargePeer(self.sock, serve, self.buffers)
        self.run("import sys; sys.path[:0] = " + repr([p for p in sys.path if "site-pack" in p]))

    def run(self, source: str) -> Any:
        return self.peer.request("run", (source,))

    def call(self, name: str, *args: Any) -> Any:
        return self.peer.request("call", (name, args, {}))
