"""What a guest finds in `sys` and `os`, attribute by attribute, and why.

For people and for tests: `docs/interpreter.md` is made from these tables, and a test compares them
with the interpreter inside, attribute by attribute. Nothing here is read when a guest starts.

Two documents of 2006, "Securing Python" and "Restricted Execution for Python", sort attributes
of `sys` into safe and dangerous ones, for interpreters that share a process (`documents`). What
the first calls dangerous is taken out unless the reason here says who needs it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

KEPT, NEUTRAL, REMOVED = "kept", "neutralised", "removed"

_PLAIN: Final = "says nothing of the host"
_STREAM: Final = "the guest's own streams: `stdin`, `stdout` and `stderr` of the policy"
_PATHS: Final = "needed to import and by `sysconfig`; a part of `names`"
_IMPORTS: Final = "the import system of the guest itself; `importlib` needs them"
_HOOKS: Final = "of this process alone"
_FLAGS: Final = "how Belljar starts the interpreter, the same for every guest"
_OWN: Final = "dangerous where a process is shared; here it is of the guest's own alone, and "
_HIDDEN: Final = "the standard library does not need it"

#: Verdict, reason, the attributes.
_SYS: Final = (
    (KEPT, _PLAIN,
     "__doc__ __name__ __package__ __loader__ __spec__ abiflags api_version byteorder copyright "
     "float_info float_repr_style hash_info hexversion implementation int_info maxsize maxunicode "
     "thread_info version version_info builtin_module_names stdlib_module_names _framework "
     "getdefaultencoding getfilesystemencodeerrors getfilesystemencoding getrecursionlimit "
     "getswitchinterval get_int_max_str_digits _get_cpu_count_config _is_gil_enabled "
     "is_finalizing pycache_prefix abi_info"),
    (KEPT, _STREAM, "stdin stdout stderr"),
    (KEPT, _STREAM + ", of no other interpreter; `getpass` needs them",
     "__stdin__ __stdout__ __stderr__"),
    (KEPT, "of objects that the caller has already",
     "getrefcount getsizeof intern _is_interned _is_immortal getallocatedblocks "
     "getunicodeinternedsize _getquickenedcount"),
    (KEPT, "of the exception that is handled", "exc_info exception"),
    (KEPT, _HOOKS,
     "displayhook excepthook breakpointhook unraisablehook "
     "__breakpointhook__ __unraisablehook__ get_asyncgen_hooks set_asyncgen_hooks "
     "get_coroutine_origin_tracking_depth set_coroutine_origin_tracking_depth "
     "set_int_max_str_digits exit monitoring _baserepl"),
    (KEPT, "whether imports wait for their first use (3.15); the import guard is asked then",
     "get_lazy_imports set_lazy_imports get_lazy_imports_filter set_lazy_imports_filter "
     "lazy_modules"),
    (KEPT, _HOOKS + "; `code` and `doctest` need them",
     "__displayhook__ __excepthook__"),
    (KEPT, "adds witnesses and can take none away; told as a denial's event", "addaudithook"),
    (KEPT, "programs raise events of their own; an event grants nothing",
     "audit"),
    (KEPT, "the program's own arguments, given by who starts it; `argparse` needs them", "argv"),
    (KEPT, _FLAGS, "flags warnoptions _xoptions dont_write_bytecode"),
    (KEPT, "`os` and `subprocess` need to know that they run on Linux", "platform"),
    (KEPT, _PATHS,
     "prefix exec_prefix base_prefix base_exec_prefix executable _base_executable _home "
     "platlibdir _stdlib_dir path"),
    (KEPT, _IMPORTS, "modules meta_path path_hooks path_importer_cache"),
    (KEPT, "`collections`, `enum`, `logging`, `typing`, `warnings` need them",
     "_getframe _getframemodulename"),
    (KEPT, "`dataclasses` with slots need it, and `asyncio` those (3.14)",
     "_clear_type_descriptors"),
    (KEPT, _OWN + "`bdb`, `doctest`, `pdb`, `profile`, `threading`, `trace` need it",
     "settrace setprofile gettrace getprofile call_tracing _settraceallthreads "
     "_setprofileallthreads"),
    (KEPT, _OWN + "ordinary programs set it, the standard library does "
     "not: a crash ends the guest and no more",
     "setrecursionlimit"),
    (NEUTRAL, "Belljar's own start is left out: the interpreter, then the program's arguments",
     "orig_argv"),
    (REMOVED, _HIDDEN, "setswitchinterval _current_frames _current_exceptions"),
    (REMOVED, _HIDDEN + "; kept where a distribution with native code is named, or all are",
     "getdlopenflags setdlopenflags"),
    (REMOVED, "switches of the interpreter's inside, for its own tests",
     "_clear_internal_caches _clear_type_cache _jit _dump_tracelets"),
    (REMOVED, "prints addresses, or leads to every object (debug builds)",
     "_debugmallocstats getobjects gettotalrefcount"),
    (REMOVED, "where the interpreter was built", "_git"),
    (REMOVED, "writes a map of the process's code for a profiler outside",
     "activate_stack_trampoline deactivate_stack_trampoline is_stack_trampoline_active"),
    (REMOVED, "makes another process run code (3.14)", "remote_exec is_remote_debug_enabled"),
)  # fmt: skip

#: attribute -> (verdict, why)
SYS: Final[dict[str, tuple[str, str]]] = {
    name: (verdict, why) for verdict, why, names in _SYS for name in names.split()
}

_REFUSED: Final = "the kernel refuses it (seccomp), or knows nothing to tell"
#: What `os` gives, by kind: names, what becomes of them, what decides.
OS: Final = (
    ("open listdir scandir walk fwalk mkdir makedirs rename renames replace remove unlink rmdir "
     "removedirs link symlink truncate chmod chown lchown utime getxattr listxattr setxattr "
     "removexattr chdir readlink stat lstat access statvfs pathconf",
     "kept", "`files`: window and walls; what no grant covers does not exist"),
    ("execv execve execl execle execlp execlpe execvp execvpe posix_spawn posix_spawnp spawnl "
     "spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe system popen fork forkpty",
     "kept", "`processes`: refused unless `run` or `processes` gives them"),
    ("kill killpg pidfd_open wait wait3 wait4 waitid waitpid",
     "kept", "`processes`: of the guest's own processes alone"),
    ("environ environb getenv getenvb putenv unsetenv",
     "kept", "`env`: empty but for what is given"),
    ("uname cpu_count process_cpu_count sched_getaffinity getloadavg sysconf",
     "neutralised", "`os-info`: the same answers on every machine; see below"),
    ("getuid geteuid getgid getegid getgroups getresuid getresgid getpid getppid getpgid getpgrp "
     "getsid getlogin ctermid ttyname",
     "kept", "with namespaces those of the sandbox: user 1000, its own process numbers"),
    ("setuid setgid seteuid setegid setreuid setregid setresuid setresgid setgroups initgroups "
     "chroot unshare setns mknod mkfifo",
     "kept", f"`syscalls`: {_REFUSED}"),
    ("memfd_create", "kept", "`memory`: refused, since no limit counts it"),
    ("nice setpriority sched_setaffinity sched_setparam sched_setscheduler",
     "kept", "of the guest's own threads; the kernel refuses what needs privilege"),
    ("times urandom getrandom", "kept", "of the process itself, or random"),
)  # fmt: skip

#: Facts about the machine: what is asked, what Python code is told, what still tells.
FACTS: Final = (
    ("`os.uname`, `platform.*`", "`Linux`, `belljar`, release `5.10.0`, version `#1`; the machine "
     "type is true: native code needs it", "the `uname` system call"),
    ("`platform.processor`", "nothing; no program is run", "the CPU's own instructions"),
    ("`os.cpu_count`, `os.sched_getaffinity`, `SC_NPROCESSORS_*`", "the policy's `processes`",
     "`sched_getaffinity` in C: numpy's thread pools fit the machine"),
    ("`SC_PHYS_PAGES`, `SC_AVPHYS_PAGES`", "the policy's `memory`", "`sysinfo` in C"),
    ("`os.getloadavg`", "0, 0, 0", "`sysinfo` in C, timing"),
    ("`/proc/version`, `/proc/cpuinfo`, `/proc/meminfo`, `/etc/os-release`",
     "they do not exist; with `os-info` they are copies of the host's", ""),
    ("`socket.gethostname`", "`belljar`", "without namespaces: the host's name"),
    ("`time.monotonic`, `time.clock_gettime`", "true", "how long the machine is up"),
    ("`sys.version`, `platform.python_compiler`", "true: of the interpreter", ""),
    ("`platform.libc_ver`", "true: of the C library that the guest can read", ""),
)  # fmt: skip
