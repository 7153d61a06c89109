"""Host objects over a real bridge, with a guest in a process of its own that no wall confines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from belljar.model import Decision
from belljar.sandbox.bridge.objects import ObjectLimits, Objects
from belljar.sandbox.live.buffers import Buffers
from belljar.sandbox.live.crossing import LargePeer

sys.path.insert(0, str(Path(__file__).parents[1] / "bridge"))
from plain import MAIN, Plain

sys.path.pop(0)

#: As the bridge's own, with `host` among the names and the operations of the host's objects.
_MAIN = MAIN.replace(
    "        names[body[0]] = body[1]\n",
    "        names[body[0]] = body[1]\n    else:\n        return operations[op](body)\n",
).replace(
    "peer.loop()",
    "side = names['side'] = HostSide(peer)\n"
    "peer._refer, peer._resolve, operations = side.refer, side.resolve, side.operations()\n"
    "names['host'], modules = make_host(side)\n"
    "sys.modules.update(modules)\n"
    "peer.loop()",
)


class Bridged:
    """`with Bridged() as box: box.share(...); box.run("host.db.get(1)")`."""

    def __init__(
        self, limits: ObjectLimits | None = None, python: str = sys.executable, large: bool = False
    ) -> None:
        self.recorded: list[tuple[str, str, str]] = []
        self.objects = Objects(self._record, limits)
        self.share = self.objects.share
        objects = self.objects
        parts, main = ("lent.py", "host.py"), _MAIN
        if large:  # with descriptors
            parts = ("forms.py", "buffers.py", "lent.py", "host.py")
            main = main.replace("Peer(3, serve)", "LargePeer(3, serve)")
        self.plain = Plain(
            objects.serve, *parts, main=main, python=python,
            refer=objects.refer, resolve=objects.resolve,
        )  # fmt: skip
        self.peer: Any = self.plain.peer
        if large:
            about = objects.serve, Buffers(1 << 20), None, objects.refer, objects.resolve
            self.peer = self.plain.peer = LargePeer(self.plain.sock, *about)
        self.objects.attach(self.peer)

    def _record(self, name: str, method: str, decision: Decision) -> None:
        self.recorded.append((name, method, decision.verdict))

    def run(self, source: str) -> Any:
        return self.peer.request("run", (source,))

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = self.objects.arguments(args, kwargs)
        return self.peer.request("call", (name, args, kwargs))

    def __enter__(self) -> Bridged:
        return self

    def __exit__(self, *about: object) -> None:
        self.objects.close()
        self.plain.__exit__(*about)
