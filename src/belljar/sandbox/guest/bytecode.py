"""Compiled code counts only where it came with the runtime (hostile bytecode crashes CPython).

A window; what crafted bytecode does meets the walls. Part of the first lines that run inside.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def source_only(runtime: "list[str]") -> None:
    """No `.pyc` from outside `runtime`, and no code objects made by hand outside of it."""
    import _frozen_importlib_external as external

    ours = tuple(place + "/" for place in runtime if place)

    def foreign(path: "Any") -> bool:
        return type(path) is not str or not path.startswith(ours) or "/../" in path

    from_source = external.SourceLoader.get_code
    compiled = external.SourcelessFileLoader.get_code

    def get_code(self: "Any", fullname: str) -> "Any":
        path = self.get_filename(fullname)
        if foreign(path):
            return self.source_to_code(self.get_data(path), path)
        return from_source(self, fullname)

    def get_compiled(self: "Any", fullname: str) -> "Any":
        if foreign(self.get_filename(fullname)):
            raise ImportError(
                f"{fullname} is compiled and not of the runtime; "
                f"the grant that allows it is --bytecode",
                name=fullname,
            )
        return compiled(self, fullname)

    external.SourceLoader.get_code = get_code
    external.SourcelessFileLoader.get_code = get_compiled
    archives: "Any" = sys.modules.get("zipimport")
    if archives is not None:
        order = archives._zip_searchorder
        archives._zip_searchorder = tuple(row for row in order if not row[1])
    sys.dont_write_bytecode = True
    sys.audit("belljar.runtime", *ours)  # from here on the recorder refuses code made by hand
