"""Names of modules and distributions, and which C modules lie in the safe set.

A module is unsafe when its purpose is raw memory, arbitrary native code or another interpreter:
through it every window inside the interpreter can be broken (the walls still hold).
`_posixsubprocess` is not among them: `subprocess` needs it, and only the walls decide what runs;
the guest's own code may not import it all the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Unsafe module -> the name to grant with `import`, which is what programs ask for.
UNSAFE_MODULES: Final[dict[str, str]] = {
    "ctypes": "ctypes",
    "_ctypes": "ctypes",
    "_ctypes_test": "_ctypes_test",
    "cffi": "cffi",
    "_cffi_backend": "cffi",
    "_xxsubinterpreters": "_xxsubinterpreters",
    "_interpreters": "_interpreters",
    "_remote_debugging": "_remote_debugging",
    "_testexternalinspection": "_testexternalinspection",
    "_testcapi": "_testcapi",
    "_testinternalcapi": "_testinternalcapi",
    "_testlimitedcapi": "_testlimitedcapi",
    "_testclinic": "_testclinic",
    "_testclinic_limited": "_testclinic_limited",
    "_testbuffer": "_testbuffer",
    "_testmultiphase": "_testmultiphase",
    "_testsinglephase": "_testsinglephase",
    "_testimportmultiple": "_testimportmultiple",
    "_xxtestfuzz": "_xxtestfuzz",
}

#: Modules that the standard library imports for its own use: who may (the end of the file's name).
INTERNAL_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "_posixsubprocess": ("/subprocess.py", "/multiprocessing/util.py"),
}

#: Unsafe modules that the standard library tries to import and does without: who tries. That is
#: refused like everybody else's import, and told as no denial, since nobody lacks anything.
OPTIONAL_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "_interpreters": ("/concurrent/futures/__init__.py",),  # asyncio imports it: CPython 3.14
    "_remote_debugging": (  # CPython 3.15
        "/profiling/sampling/collector.py",
        "/profiling/sampling/constants.py",
        "/profiling/sampling/gecko_collector.py",
    ),
}

#: C modules of the standard library, CPython 3.8 to 3.14, that may be loaded without a grant.
#: What is not named here is outside the safe set: what tests CPython, shows how to write C
#: modules, makes interpreters, or talks to services that a guest lacks (nis, spwd, ossaudiodev).
SAFE_EXTENSIONS: Final[frozenset[str]] = frozenset(
    """
    _asyncio _bisect _blake2 _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr
    _codecs_tw _contextvars _crypt _csv _curses _curses_panel _datetime _dbm _decimal _elementtree
    _gdbm _hashlib _heapq _hmac _json _lsprof _lzma _md5 _multibytecodec _multiprocessing _opcode
    _pickle _posixshmem _posixsubprocess _queue _random _sha1 _sha2 _sha256 _sha3 _sha512 _socket
    _sqlite3 _ssl _statistics _struct _tkinter _typing _uuid _zoneinfo _zstd array audioop binascii
    cmath fcntl grp math mmap parser pyexpat readline resource select syslog termios unicodedata
    zlib
    """.split()  # noqa: SIM905
)


def normal(name: str) -> str:
    """PEP 503's form for comparing, but a leading underscore stays: `_ctypes` is not `ctypes`.

    >>> normal("Zope.Interface"), normal("_ctypes")
    ('zope-interface', '_ctypes')
    """
    lead = len(name) - len(name.lstrip("_"))
    out = "_" * lead
    gap = False
    for c in name[lead:].lower():
        if c in "-_.":
            gap = True
            continue
        if gap:
            out += "-"
            gap = False
        out += c
    return out + ("-" if gap else "")


def within(module: str) -> tuple[str, ...]:
    """The normal names of a module and of every package around it, outermost first.

    >>> within("xml.sax.handler")
    ('xml', 'xml-sax', 'xml-sax-handler')
    """
    parts = module.split(".")[:32]
    return tuple(normal(".".join(parts[: i + 1])) for i in range(len(parts)))
