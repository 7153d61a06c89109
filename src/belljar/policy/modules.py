"""Names of modules and distributions, and the C modules that lie outside the safe set.

A module is unsafe when its purpose is raw memory, arbitrary native code or another interpreter:
through it every window inside the interpreter can be broken (the walls still hold).
`_posixsubprocess` is not among them: `subprocess` needs it, and only the walls decide what runs.
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
