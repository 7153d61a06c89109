"""What two documents of 2006 say of `sys`, attribute by attribute: for a page and for tests.

Brett Cannon's "Securing Python" (securing_python.txt, branch bcannon-objcap of Python's repository,
section "Making the sys Module Safe") sorts what there was into safe attributes and dangerous
settings. His earlier "Restricted Execution for Python" (sandboxing_design_doc.txt, branch
bcannon-sandboxing, section "Changing the Behaviour of the Interpreter") lists what is given; the
rest is not, and file system information and `setrecursionlimit` are named as what must go.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: "Securing Python"
SAFE: Final = _words(
    "builtin_module_names byteorder copyright displayhook excepthook exc_info exc_clear exit "
    "getcheckinterval getdefaultencoding getrefcount getrecursionlimit hexversion last_type "
    "last_value last_traceback maxint maxunicode meta_path path_hooks path_importer_cache ps1 ps2 "
    "stdin stdout stderr tracebacklimit version api_version version_info warnoptions"
)
DANGEROUS: Final = _words(
    "argv subversion _current_frames __displayhook__ dllhandle exc_type exc_value exc_traceback "
    "exec_prefix executable exitfunc _getframe getwindowsversion modules path platform prefix "
    "setcheckinterval setdefaultencoding setdlopenflags setprofile setrecursionlimit settrace "
    "settscdump __excepthook__ __stdin__ __stdout__ __stderr__ winver"
)
#: "Restricted Execution for Python"
GIVEN: Final = _words(
    "byteorder copyright displayhook excepthook __displayhook__ __excepthook__ exc_info exc_clear "
    "exit getdefaultencoding _getframe hexversion last_type last_value last_traceback maxint "
    "maxunicode modules stdin stdout stderr version"
)
#: There in 2006 (Python 2.5), and named by neither.
UNNAMED: Final = _words(
    "__doc__ __name__ call_tracing getdlopenflags getfilesystemencoding getobjects gettotalrefcount"
)
#: What took the place of something that they name.
HEIRS: Final = {
    "_base_executable": "executable", "_git": "subversion", "_home": "prefix",
    "_settraceallthreads": "settrace", "_setprofileallthreads": "setprofile",
    "_current_exceptions": "_current_frames", "_getframemodulename": "_getframe",
    "_stdlib_dir": "path", "base_exec_prefix": "exec_prefix", "base_prefix": "prefix",
    "exception": "exc_info", "getswitchinterval": "getcheckinterval", "maxsize": "maxint",
    "platlibdir": "path", "setswitchinterval": "setcheckinterval",
}  # fmt: skip


def judged(name: str) -> str:
    """What both say of an attribute, or of the one that it took the place of.

    >>> judged("modules"), judged("setswitchinterval"), judged("hash_info")
    ('dangerous, given', 'dangerous, not given', 'later')
    """
    old = HEIRS.get(name, name)
    if old in UNNAMED:
        return "unnamed, not given"
    if old not in SAFE | DANGEROUS:
        return "later"
    return f"{'safe' if old in SAFE else 'dangerous'}, {'given' if old in GIVEN else 'not given'}"
