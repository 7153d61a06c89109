"""The `sys` subset: what becomes of each attribute in a guest, and why.

Two documents of 2006 sort the attributes of `sys` into safe and dangerous ones, for interpreters
that share one process. Here every guest has a process of its own. What they call dangerous is
hidden unless the standard library or ordinary programs need it; the reason then says so.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Taken out of `sys` before the guest's first line; `subset` says why.
WITHHELD: Final = (
    "_clear_internal_caches", "_clear_type_cache",
    "_current_exceptions", "_current_frames", "_debugmallocstats", "_dump_tracelets", "_git",
    "_jit", "activate_stack_trampoline", "deactivate_stack_trampoline", "getobjects",
    "gettotalrefcount", "is_remote_debug_enabled", "is_stack_trampoline_active", "remote_exec",
    "setswitchinterval",
)  # fmt: skip
#: Taken out as well, unless a distribution with native code is named: some load theirs with it.
WITHHELD_FROM_PYTHON: Final = ("getdlopenflags", "setdlopenflags")
#: What `os.uname` says without `os-info`: system, host, release and version of the kernel. Some
#: programs parse the release.
UNAME: Final = ("Linux", "belljar", "5.10.0", "#1")
