"""Stock capabilities: small objects that hold one right each, to be shared with a guest.

Each says itself, in `__belljar__`, what of it a guest may use, checks every argument, and is a
pattern to copy for one's own. Names are loaded on first use.

>>> box.share("data", belljar.caps.ReadDir("data/"))  # doctest: +SKIP
>>> box.run("host.data.read('a.csv')")  # doctest: +SKIP
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.sandbox.caps.append_file import AppendFile as AppendFile
    from belljar.sandbox.caps.http_client import HttpClient as HttpClient
    from belljar.sandbox.caps.read_dir import ReadDir as ReadDir
    from belljar.sandbox.caps.tcp_client import TcpClient as TcpClient

_HOMES = {
    "AppendFile": "append_file",
    "HttpClient": "http_client",
    "ReadDir": "read_dir",
    "TcpClient": "tcp_client",
}

__all__ = ["AppendFile", "HttpClient", "ReadDir", "TcpClient"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'belljar.caps' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
