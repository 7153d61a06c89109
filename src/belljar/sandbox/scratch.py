"""Where there is no private tmpfs: a private directory of the host, gone at the end."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.watch.collect import Collector


class Scratch:
    """`path` is that directory, empty where the tier needs none."""

    def __init__(self, tier: str, collector: Collector) -> None:
        self.path = ""
        self._window = collector.directory + "/window"
        if tier == "landlock":
            from belljar.watch.sweep import SCRATCH

            self.path = os.path.join(os.path.realpath(collector.directory), SCRATCH)
            os.mkdir(self.path, 0o700)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.path:
            from belljar.watch.remove import remove_tree

            remove_tree(self.path)
            if os.path.exists(self._window):
                os.unlink(self._window)
