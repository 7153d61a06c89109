"""The audit events of CPython 3.11 to 3.15 on Linux, and what each one means.

One row for each event: its name, its arguments, the right it needs, which argument is the target,
a category, the versions that raise it, and what it does not tell. Plain tuples, so that importing
this costs next to nothing; types, lies, other platforms and the rest are in `table`, which is
`belljar.catalogue`. `tests/unit/events` and `tools/prove` check the rows against interpreters.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    #: name, argument names (spaces between), right or "", index of the target argument or -1,
    #: category, versions ("" for all, "3.12+", "-3.12"), note
    Row = tuple[str, str, str, int, str, str, str]

#: The categories, in the order in which a report shows them.
CATEGORIES: Final = (
    "file", "network", "process", "import", "code", "native", "interpreter", "application", "other",
)  # fmt: skip

_BELOW = "the calls beneath raise their own events"
_FD = "for a descriptor the target is what it stands for when the event is recorded"
_DIRFD = "does not say what dir_fd stands for: the recorder looks it up"
_PROTOCOL = "the event does not tell TCP from UDP"
_DOCS_NAME = "the manual writes sys.set_asyncgen_hooks_..."

# fmt: off
ROWS: Final[tuple[Row, ...]] = (
    # Files
    ("open", "path mode flags", "read", 0, "file", "",
     "read, write or append, by mode and flags; os.open omits dir_fd; path-likes stay objects"),
    ("os.chdir", "path", "", 0, "file", "", _FD),
    ("os.chmod", "path mode dir_fd", "write", 0, "file", "", _DIRFD + "; so for os.fchmod"),
    ("os.chown", "path uid gid dir_fd", "write", 0, "file", "", _DIRFD + "; so for os.fchown"),
    ("os.getxattr", "path attribute", "read", 0, "file", "", _FD),
    ("os.listxattr", "path", "read", 0, "file", "", _FD),
    ("os.setxattr", "path attribute value flags", "write", 0, "file", "", _FD),
    ("os.removexattr", "path attribute", "write", 0, "file", "", _FD),
    ("os.link", "src dst src_dir_fd dst_dir_fd", "write", 1, "file", "",
     "needs write on src too: through the new name it can be written"),
    ("os.symlink", "src dst dir_fd", "write", 1, "file", "", "src is only the text of the link"),
    ("os.rename", "src dst src_dir_fd dst_dir_fd", "write", 1, "file", "",
     "needs write on src too; os.replace raises it as well"),
    ("os.listdir", "path", "list", 0, "file", "", "None means the working directory"),
    ("os.scandir", "path", "list", 0, "file", "", "None means the working directory"),
    ("os.mkdir", "path mode dir_fd", "write", 0, "file", "", _DIRFD),
    ("os.rmdir", "path dir_fd", "write", 0, "file", "", _DIRFD),
    ("os.remove", "path dir_fd", "write", 0, "file", "", _DIRFD + "; os.unlink raises it as well"),
    ("os.truncate", "path length", "write", 0, "file", "", _FD + ": os.ftruncate"),
    ("os.utime", "path times ns dir_fd", "write", 0, "file", "", _DIRFD),
    ("os.lockf", "fd cmd len", "", -1, "file", "", ""),
    ("os.walk", "top topdown onerror followlinks", "", 0, "file", "", _BELOW),
    ("os.fwalk", "top topdown onerror follow_symlinks dir_fd", "", 0, "file", "", _BELOW),
    ("glob.glob", "pathname recursive", "", 0, "file", "", _BELOW),
    ("glob.glob/2", "pathname recursive root_dir dir_fd", "", 0, "file", "",
     "raised after glob.glob for the same call; relative to root_dir"),
    ("pathlib.Path.glob", "self pattern", "", -1, "file", "", _BELOW),
    ("pathlib.Path.rglob", "self pattern", "", -1, "file", "", _BELOW),
    ("pathlib.Path.walk", "self on_error follow_symlinks", "", -1, "file", "3.12+", _BELOW),
    ("shutil.chown", "path user group", "", 0, "file", "", _BELOW),
    ("shutil.copyfile", "src dst", "", 1, "file", "", _BELOW),
    ("shutil.copymode", "src dst", "", 1, "file", "", _BELOW),
    ("shutil.copystat", "src dst", "", 1, "file", "", _BELOW),
    ("shutil.copytree", "src dst", "", 1, "file", "", _BELOW),
    ("shutil.make_archive", "base_name format root_dir base_dir", "", 0, "file", "", _BELOW),
    ("shutil.move", "src dst", "", 1, "file", "", _BELOW),
    ("shutil.rmtree", "path dir_fd", "", 0, "file", "", _BELOW),
    ("shutil.unpack_archive", "filename extract_dir format", "", 0, "file", "", _BELOW),
    ("tempfile.mkstemp", "fullpath", "", 0, "file", "", "raised after the file was made"),
    ("tempfile.mkdtemp", "fullpath", "", 0, "file", "", "raised after the directory was made"),
    ("sqlite3.connect", "database", "read", 0, "file", "",
     "SQLite opens for writing and falls back to reading; ATTACH raises nothing; URIs: no target"),
    ("sqlite3.connect/handle", "connection_handle", "", -1, "file", "", ""),
    ("mmap.__new__", "fileno length access offset", "", -1, "file", "", ""),
    ("fcntl.fcntl", "fd cmd arg", "", -1, "file", "", ""),
    ("fcntl.flock", "fd operation", "", -1, "file", "", ""),
    ("fcntl.ioctl", "fd request arg", "", -1, "file", "", ""),
    ("fcntl.lockf", "fd cmd len start whence", "", -1, "file", "", ""),
    # Network
    ("socket.__new__", "self family type protocol", "", -1, "network", "",
     "an accepted connection shows only this, without its peer"),
    ("socket.bind", "self address", "bind", 1, "network", "", _PROTOCOL),
    ("socket.connect", "self address", "connect", 1, "network", "", _PROTOCOL),
    ("socket.sendto", "self address", "connect", 1, "network", "", "taken as UDP"),
    ("socket.sendmsg", "self address", "connect", 1, "network", "",
     "taken as UDP; None on a connected socket"),
    ("socket.getaddrinfo", "host port family type protocol", "resolve", 0, "network", "", ""),
    ("socket.gethostbyname", "hostname", "resolve", 0, "network", "", ""),
    ("socket.gethostbyaddr", "ip_address", "resolve", 0, "network", "", ""),
    ("socket.getnameinfo", "sockaddr", "resolve", 0, "network", "", ""),
    ("socket.gethostname", "", "netinfo", -1, "network", "", ""),
    ("socket.sethostname", "name", "", 0, "network", "", ""),
    ("socket.getservbyname", "servicename protocolname", "", 0, "network", "", ""),
    ("socket.getservbyport", "port protocolname", "", -1, "network", "", ""),
    ("ftplib.connect", "self host port", "", 1, "network", "", _BELOW),
    ("ftplib.sendcmd", "self cmd", "", -1, "network", "", "may hold a password"),
    ("http.client.connect", "self host port", "", 1, "network", "", _BELOW),
    ("http.client.send", "self data", "", -1, "network", "", "may hold secrets"),
    ("imaplib.open", "self host port", "", 1, "network", "", _BELOW),
    ("imaplib.send", "self data", "", -1, "network", "", "may hold a password"),
    ("nntplib.connect", "self host port", "", 1, "network", "-3.12", _BELOW),
    ("nntplib.putline", "self line", "", -1, "network", "-3.12", "may hold a password"),
    ("poplib.connect", "self host port", "", 1, "network", "", _BELOW),
    ("poplib.putline", "self line", "", -1, "network", "", "may hold a password"),
    ("smtplib.connect", "self host port", "", 1, "network", "", _BELOW),
    ("smtplib.send", "self data", "", -1, "network", "", "may hold a password"),
    ("telnetlib.Telnet.open", "self host port", "", 1, "network", "-3.12", _BELOW),
    ("telnetlib.Telnet.write", "self buffer", "", -1, "network", "-3.12", "may hold a password"),
    ("urllib.Request", "fullurl data headers method", "", 0, "network", "",
     _BELOW + "; may hold secrets"),
    ("webbrowser.open", "url", "", 0, "network", "", _BELOW),
    # Processes
    ("os.system", "command", "run", 0, "process", "", "the program is /bin/sh"),
    ("os.exec", "path args env", "run", 0, "process", "", _FD),
    ("os.posix_spawn", "path argv env", "run", 0, "process", "",
     "raised after subprocess.Popen for the same start, from 3.13 more often"),
    ("subprocess.Popen", "executable args cwd env", "run", 0, "process", "",
     "a name without a slash is looked up on PATH"),
    ("_posixsubprocess.fork_exec", "exec_list args env", "run", 0, "process", "3.14+",
     "several candidates give no target"),
    ("os.fork", "", "process", -1, "process", "", ""),
    ("os.forkpty", "", "process", -1, "process", "", ""),
    ("pty.spawn", "argv", "", -1, "process", "", _BELOW),
    ("os.kill", "pid sig", "signal", 0, "process", "", "pidfd_send_signal raises nothing"),
    ("os.killpg", "pgid sig", "signal", 0, "process", "", ""),
    ("signal.pthread_kill", "thread_id signalnum", "signal", 0, "process", "", ""),
    ("os.putenv", "key value", "env", 0, "process", "", "reads of the environment raise nothing"),
    ("os.unsetenv", "key", "env", 0, "process", "", ""),
    ("resource.setrlimit", "resource limits", "", -1, "process", "", ""),
    ("resource.prlimit", "pid resource limits", "", -1, "process", "", ""),
    ("_thread.start_new_thread", "function args kwargs", "", -1, "process", "3.12+", ""),
    ("_thread.start_joinable_thread", "function daemon handle", "", -1, "process", "3.13+", ""),
    ("syslog.openlog", "ident logoption facility", "", -1, "process", "", ""),
    ("syslog.syslog", "priority message", "", -1, "process", "", ""),
    ("syslog.closelog", "", "", -1, "process", "", ""),
    ("syslog.setlogmask", "maskpri", "", -1, "process", "", ""),
    # Imports
    ("import", "module filename sys.path sys.meta_path sys.path_hooks", "import", 0, "import", "",
     "only the first import of a module; importlib.import_module of a cached one is silent; "
     "a filename means that a C module is loaded"),
    ("ensurepip.bootstrap", "root", "", -1, "import", "", ""),
    # Code made or changed at run time
    ("compile", "source filename", "code", 1, "code", "",
     "source is None for a file, filename for an AST; may be huge"),
    ("exec", "code_object", "code", -1, "code", "", "raised for every module that is imported"),
    ("code.__new__",
     "code filename name argcount posonlyargcount kwonlyargcount nlocals stacksize flags",
     "code", 1, "code", "", "code.replace raises it as well"),
    ("function.__new__", "code", "code", -1, "code", "", ""),
    ("marshal.dumps", "value version", "", -1, "code", "", ""),
    ("marshal.load", "", "code", -1, "code", "", ""),
    ("marshal.loads", "bytes", "code", -1, "code", "", "raised for every .pyc that is loaded"),
    ("pickle.find_class", "module name", "", 0, "code", "", ""),
    ("builtins.breakpoint", "breakpointhook", "", -1, "code", "", ""),
    ("pdb.Pdb", "", "", -1, "code", "", ""),
    ("cpython.run_command", "command", "code", -1, "code", "", ""),
    ("cpython.run_file", "filename", "code", 0, "code", "", "the file is read without event"),
    ("cpython.run_module", "module_name", "code", 0, "code", "", ""),
    ("cpython.run_startup", "filename", "code", 0, "code", "", ""),
    ("cpython.run_stdin", "", "code", -1, "code", "", ""),
    ("cpython.run_interactivehook", "hook", "code", -1, "code", "", ""),
    # Native code and raw memory
    ("ctypes.dlopen", "name", "native", 0, "native", "", "the loader looks up bare names"),
    ("ctypes.dlsym", "library name", "", 1, "native", "", ""),
    ("ctypes.dlsym/handle", "handle name", "", 1, "native", "", ""),
    ("ctypes.call_function", "func_pointer arguments", "native", -1, "native", "",
     "before 3.14 not for ordinary calls of foreign functions"),
    ("ctypes.addressof", "obj", "", -1, "native", "", ""),
    ("ctypes.cdata", "address", "native", -1, "native", "", ""),
    ("ctypes.cdata/buffer", "pointer size offset", "native", -1, "native", "", ""),
    ("ctypes.create_string_buffer", "init size", "", -1, "native", "", ""),
    ("ctypes.create_unicode_buffer", "init size", "", -1, "native", "", ""),
    ("ctypes.get_errno", "", "", -1, "native", "", ""),
    ("ctypes.set_errno", "errno", "", -1, "native", "", ""),
    ("ctypes.string_at", "ptr size", "native", -1, "native", "", ""),
    ("ctypes.wstring_at", "ptr size", "native", -1, "native", "", ""),
    ("ctypes.memoryview_at", "address size readonly", "native", -1, "native", "3.14+", ""),
    ("ctypes.PyObj_FromPtr", "obj", "native", -1, "native", "", ""),
    ("sqlite3.enable_load_extension", "connection enabled", "", -1, "native", "", ""),
    ("sqlite3.load_extension", "connection path", "native", 1, "native", "", ""),
    # The interpreter itself, and looking into it
    ("object.__getattr__", "obj name", "", 1, "interpreter", "", "only special attributes"),
    ("object.__setattr__", "obj name value", "", 1, "interpreter", "", "only special attributes"),
    ("object.__delattr__", "obj name", "", 1, "interpreter", "", "only special attributes"),
    ("gc.get_objects", "generation", "", -1, "interpreter", "", ""),
    ("gc.get_referrers", "objs", "", -1, "interpreter", "", ""),
    ("gc.get_referents", "objs", "", -1, "interpreter", "", ""),
    ("sys._current_exceptions", "", "", -1, "interpreter", "", ""),
    ("sys._current_frames", "", "", -1, "interpreter", "", ""),
    ("sys._getframe", "frame", "", -1, "interpreter", "", "a frame can be had without it"),
    ("sys._getframemodulename", "depth", "", -1, "interpreter", "3.12+", ""),
    ("sys.addaudithook", "", "", -1, "interpreter", "", ""),
    ("sys.excepthook", "hook type value traceback", "", -1, "interpreter", "", ""),
    ("sys.unraisablehook", "hook unraisable", "", -1, "interpreter", "", ""),
    ("sys.set_asyncgen_hook_finalizer", "", "", -1, "interpreter", "", _DOCS_NAME),
    ("sys.set_asyncgen_hook_firstiter", "", "", -1, "interpreter", "", _DOCS_NAME),
    ("sys.setprofile", "", "", -1, "interpreter", "", ""),
    ("sys.settrace", "", "", -1, "interpreter", "", ""),
    ("sys.monitoring.register_callback", "func", "", -1, "interpreter", "3.12+", ""),
    ("sys.remote_exec", "pid script_path", "process", 0, "interpreter", "3.14+",
     "whoever may trace a process does without it"),
    ("cpython.remote_debugger_script", "script_path", "code", 0, "interpreter", "3.14+", ""),
    ("remote_debugger_script", "script_path", "code", 0, "interpreter", "3.14+",
     "the name that 3.14 raises for cpython.remote_debugger_script"),
    ("setopencodehook", "", "", -1, "interpreter", "", ""),
    ("cpython.PyConfig_Set", "name value", "", 0, "interpreter", "3.14+", ""),
    ("cpython.PyInterpreterState_New", "", "", -1, "interpreter", "",
     "a Python hook does not follow into the new interpreter"),
    ("cpython.PyInterpreterState_Clear", "", "", -1, "interpreter", "", ""),
    ("cpython._PySys_ClearAuditHooks", "", "", -1, "interpreter", "", ""),
    # The rest
    ("array.__new__", "typecode initializer", "", -1, "other", "", ""),
    ("builtins.id", "id", "", -1, "other", "", ""),
    ("builtins.input", "prompt", "", -1, "other", "", ""),
    ("builtins.input/result", "result", "", -1, "other", "", "may hold a secret"),
    ("time.sleep", "secs", "", -1, "other", "3.13+", ""),
    # Ours
    ("belljar.begin", "", "", -1, "interpreter", "",
     "raised in a sandbox before the first line of the program: what came before is the start"),
    ("belljar.branch", "channel", "", -1, "process", "",
     "raised in a live sandbox that makes a branch of itself"),
    ("belljar.branch.apart", "", "", -1, "process", "",
     "raised in a branch that enters a Landlock domain of its own"),
    ("belljar.branch.channel", "channel", "", -1, "process", "",
     "raised in a live sandbox before its first branch: its events go a way of their own"),
    ("belljar.branch.limit", "limit soft hard", "", -1, "process", "",
     "raised in a branch that lowers a limit of its own"),
    ("belljar.branch.own", "place size", "", -1, "process", "",
     "raised in a branch that copies memory which was mapped to be shared"),
    ("belljar.counted", "event count", "", -1, "other", "",
     "so many more of an event that comes in floods: the first 64 of each process are kept"),
    ("belljar.denied", "right target detail", "import", 1, "import", "",
     "raised by the import guard of Belljar for a module that it refused"),
    ("belljar.hook", "", "", -1, "interpreter", "",
     "raised once where belljar.watching() adds its hook to a process, to see that it was added"),
    ("belljar.narrow", "kept how", "", -1, "interpreter", "",
     "raised by Belljar's recorder where a guest has given up some of its grants"),
    ("belljar.open", "path mode flags", "read", 0, "file", "",
     "raised by Belljar's recorder where a file is opened and no event of this thread said so"),
    ("belljar.exec", "path argv", "run", 0, "process", "",
     "raised by Belljar's recorder where a program is started and no event of this thread said so"),
    ("belljar.silenced", "why", "", -1, "interpreter", "",
     "raised by Belljar's recorder when its hook is called no more; later events may be missing"),
    ("belljar.edit", "kind holder key", "", 1, "interpreter", "3.12+",
     "raised by Belljar's recorder for a change that CPython tells nobody; already under way"),
)
# fmt: on

BY_NAME: Final[dict[str, Row]] = {row[0]: row for row in ROWS}


def lookup(name: str) -> Row | None:
    """The row of an event, or None for one that neither CPython nor a library has declared."""
    return BY_NAME.get(name)


def category(name: str) -> str:
    """The category of an event; `other` for one that is not in the catalogue.

    >>> category("socket.connect")
    'network'
    """
    row = BY_NAME.get(name)
    return row[4] if row else "other"
