"""The C core: where its programs lie, and the few functions the extension exports.

`KEEPER` is the program that builds the walls, `RECORDER` the shared object that is preloaded
into every recorded process, `TRACER` the program that supervises a cross-checked one, `ZYGOTE` the
extension that makes a template of an interpreter. They stand
beside this file, in a wheel as in a development tree.
"""

from __future__ import annotations

from belljar._native._core import (
    answer,
    confine_apply,
    confine_try,
    is_alone,
    landlock_abi,
    open_window,
    pack,
    reader_close,
    reader_open,
    reader_take,
    scan_frames,
    unchanged,
    unpack,
    unskipped,
)

HERE = __file__.rpartition("/")[0]
KEEPER = HERE + "/belljar-keeper"
RECORDER = HERE + "/libbelljar-recorder.so"
TRACER = HERE + "/belljar-tracer"
ZYGOTE = HERE + "/libbelljar-zygote.so"

__all__ = [
    "HERE",
    "KEEPER",
    "RECORDER",
    "TRACER",
    "ZYGOTE",
    "answer",
    "confine_apply",
    "confine_try",
    "get_include",
    "is_alone",
    "landlock_abi",
    "open_window",
    "pack",
    "reader_close",
    "reader_open",
    "reader_take",
    "scan_frames",
    "unchanged",
    "unpack",
    "unskipped",
]


def get_include() -> str:
    """The directory of `belljar.h`, for programs that embed Python (`docs/embedding.md`).

    The library they link, `libbelljar-recorder.so`, lies in the directory above it.

    >>> get_include().endswith("_native/include")
    True
    """
    return HERE + "/include"
