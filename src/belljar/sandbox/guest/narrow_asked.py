"""What a guest asks to keep, as `narrow` is given it: read strictly, told plainly.

Comes before `narrow` in one namespace; runs on any CPython from 3.8.
"""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: Keys with lists of paths, and the letters that one asks for (`confine/view.py`).
_FILES = {"read": "rl", "write": "w", "append": "w", "overlay": "rlw", "devices": "rw", "run": "rx"}
_GRANTS = (*_FILES, "connect", "bind", "import")
_COUNTS = ("processes", "threads", "open_files")
_SIZES = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "KiB": 1 << 10, "MiB": 1 << 20,
          "GiB": 1 << 30, "kB": 10**3, "MB": 10**6, "GB": 10**9}  # fmt: skip
_TIMES = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _asked(policy: "Any", keywords: "dict[str, Any]") -> "dict[str, Any]":
    if policy is not None and type(policy) is not dict:
        raise TypeError(
            "narrow() takes keywords, or one dict of them, not %s" % type(policy).__name__
        )
    asked: "dict[str, Any]" = {}
    for name, value in {**(policy or {}), **keywords}.items():
        key = name.replace("-", "_").rstrip("_") if type(name) is str else ""
        if key in _GRANTS:
            asked[key] = _texts(key, value)
        elif key in ("memory", "output"):
            asked[key] = int(_number(key, value, _SIZES))
        elif key in ("cpu", "wall"):
            asked[key] = _number(key, value, _TIMES)
        elif key in _COUNTS:
            if type(value) is not int or value < 1:
                raise ValueError("%s: a number from 1 on, not %r" % (key, value))
            asked[key] = value
        else:
            raise TypeError("%s= is nothing that a guest can narrow" % (name,))
    return asked


def _texts(key: str, value: "Any") -> "list[str]":
    found = []
    for one in [value] if hasattr(value, "__fspath__") or type(value) is str else value:
        text = posix.fspath(one)
        if type(text) is not str or not text or "\0" in text:
            raise ValueError("%s: a text or a list of texts, not %r" % (key, one))
        found.append(text)
    return found


def _number(key: str, value: "Any", units: "dict[str, Any]") -> float:
    if type(value) is str:
        text = value.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        factor = units.get(value[len(text) :].strip())
        digits = text.strip().replace(".", "", 1)
        if factor is None or not (digits.isascii() and digits.isdigit()):
            raise ValueError("%s: a number with a unit such as 64M or 5s, not %r" % (key, value))
        return float(text) * float(factor)
    if type(value) not in (int, float) or not 0 < value < 1 << 60:
        raise ValueError("%s: a number above 0, not %r" % (key, value))
    return float(value)


def _absolute(text: str) -> str:
    parts: "list[str]" = []
    for part in (text if text[:1] == "/" else posix.getcwd() + "/" + text).split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _beneath(path: str, top: str) -> bool:
    return path.startswith(top.rstrip("/") + "/")


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _more(key: str, text: str) -> "NoReturn":
    raise PermissionError(
        "%s = %s: this is more than the sandbox has" % (key.replace("_", "-"), text)
    )


def _cannot(key: str, why: str) -> "NoReturn":
    raise RuntimeError("%s cannot be narrowed here: %s; nothing was narrowed" % (key, why))
