"""What CPython does without an audit event, and what sees or stops it instead.

Each row is proved: `tests/unit/events` runs the operation under a hook, on the interpreter at
hand, and nothing is heard but what the row says. Loaded by `table` only.
"""

from __future__ import annotations

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Silence(Value):
    """An operation that raises no event.

    `versions` is where it is silent (`-3.13`: it raises one from 3.14 on); `matters` why one
    should care; `walls` the protections of `belljar run` that hold all the same; `cross_check`
    the kinds of `belljar watch --cross-check` that see it; `edits`, whether the recorder reports
    it as `belljar.edit` (CPython 3.12 and later); `related` events that one might expect.
    """

    name: str
    operation: str
    matters: str
    versions: str = ""
    walls: tuple[str, ...] = ()
    cross_check: tuple[str, ...] = ()
    edits: bool = False
    related: tuple[str, ...] = ()


_FILES = ("files",)
_NET = ("network",)
_CALLS = ("syscalls",)
_OPEN = ("open",)

#: By what they are about: files, processes, network, the interpreter.
SILENCES: Final = (
    Silence(
        "tls-files", "ssl.SSLContext.load_verify_locations, load_cert_chain, default paths",
        "reads any file as a certificate or key, and tells by its error what it holds",
        "", _FILES, _OPEN, related=("open",),
    ),
    Silence(
        "sqlite-attach", "ATTACH DATABASE in sqlite3",
        "opens, makes and writes any file that is a database, or shall be one",
        "", _FILES, _OPEN, related=("sqlite3.connect", "open"),
    ),
    Silence(
        "sqlite-vacuum-into", "VACUUM INTO in sqlite3", "writes a copy of a database anywhere",
        "", _FILES, _OPEN, related=("sqlite3.connect", "open"),
    ),
    Silence(
        "readline-files", "readline.read_history_file, write_history_file, read_init_file",
        "reads and writes any text file; used to escape audit sandboxes in public contests",
        "-3.13", _FILES, _OPEN, related=("open",),
    ),
    Silence(
        "shm-open", "_posixshmem.shm_open, below multiprocessing.shared_memory",
        "makes files in /dev/shm that other processes can open",
        "", _FILES, _OPEN, related=("mmap.__new__", "open"),
    ),
    Silence(
        "memfd-create", "os.memfd_create", "a file without a name, from which code can be executed",
        "", _CALLS, ("memfd",), related=("open", "mmap.__new__"),
    ),
    Silence(
        "mkfifo", "os.mkfifo, os.mknod", "makes files: pipes, and devices for those who may",
        "", _FILES, related=("os.mkdir", "open"),
    ),
    Silence(
        "dup2", "os.dup2, os.dup, os.close",
        "puts another file behind a descriptor that others go on using", related=("open",),
    ),
    Silence(
        "descriptor-io", "os.read, os.write, os.pread, os.sendfile, methods of open files",
        "the data itself: events tell of opening, never of what is read or written",
        "", ("disk", "output"), related=("open",),
    ),
    Silence(
        "file-metadata", "os.stat, os.lstat, os.access, os.readlink, os.statvfs, os.path.exists",
        "tells what exists, its size and its times", "", ("names",), related=("os.listdir",),
    ),
    Silence(
        "user-database", "pwd.getpwall, pwd.getpwnam, grp.getgrall",
        "the C library reads /etc/passwd and what else names users", "", _FILES, _OPEN,
        related=("open",),
    ),
    Silence(
        "shadow-database", "spwd.getspall", "the C library reads /etc/shadow, password hashes",
        "-3.12", _FILES, _OPEN, related=("open",),
    ),
    Silence(
        "time-zone-file", "time.tzset with TZ in the environment",
        "the C library opens the file that TZ names", "", _FILES, _OPEN, related=("open",),
    ),
    Silence(
        "terminfo", "curses.setupterm, curses.initscr", "the library opens terminal descriptions, "
        "from where TERMINFO says", "", _FILES, _OPEN, related=("open",),
    ),
    Silence(
        "pseudo-terminal", "os.openpty, os.posix_openpt", "opens /dev/ptmx and a terminal",
        "", _FILES, _OPEN, related=("open", "os.forkpty"),
    ),
    Silence(
        "perf-map", "sys.activate_stack_trampoline('perf')", "writes /tmp/perf-PID.map",
        "3.12+", _FILES, _OPEN, related=("open",),
    ),
    Silence(
        "tcl", "tkinter.Tcl().eval, below every tkinter program",
        "an interpreter of its own: opens files and sockets, starts programs, all in C; no display "
        "is needed", "", ("files", "network", "processes"), ("open", "exec", "connect"),
        related=("open", "subprocess.Popen", "socket.connect"),
    ),
    Silence(
        "fork-exec", "_posixsubprocess.fork_exec, multiprocessing.util.spawnv_passfds",
        "starts a program", "-3.13", ("processes",), ("exec",),
        related=("subprocess.Popen", "_posixsubprocess.fork_exec", "os.fork"),
    ),
    Silence(
        "pidfd-signal", "signal.pidfd_send_signal, os.pidfd_open", "signals another process",
        "", ("processes",), related=("os.kill",),
    ),
    Silence(
        "end-itself", "signal.raise_signal, os.abort, os._exit",
        "a process that ends between two events; the record shows one that did not say goodbye",
        "", (), related=("os.kill",),
    ),
    Silence(
        "signal-handlers", "signal.signal, signal.setitimer, signal.alarm",
        "code that runs later, between any two lines", related=("signal.pthread_kill",),
    ),
    Silence(
        "change-user", "os.setuid, os.setgid, os.setgroups, os.setresuid, os.initgroups",
        "what the process may do changes", "", _CALLS,
    ),
    Silence(
        "change-root", "os.chroot", "absolute paths of later events mean something else",
        "", _CALLS, related=("os.chdir",),
    ),
    Silence(
        "namespaces", "os.unshare, os.setns", "paths, addresses and processes mean something else",
        "3.12+", _CALLS,
    ),
    Silence(
        "process-settings", "os.umask, os.nice, os.setpriority, os.sched_setaffinity, os.setsid",
        "who may read new files; how much processor others get",
        related=("resource.setrlimit",),
    ),
    Silence(
        "thread-start", "_thread.start_new_thread, threading.Thread.start", "code that runs beside",
        "-3.11", ("threads",), related=("_thread.start_new_thread",),
    ),
    Silence(
        "environment-read", "os.environ, os.getenv", "secrets are kept there; the sandbox's "
        "environment holds what the policy grants", "", ("names",),
        related=("os.putenv", "os.unsetenv"),
    ),
    Silence(
        "system-facts", "os.uname, os.getloadavg, os.getuid, os.cpu_count", "tells the machine",
        related=("socket.gethostname",),
    ),
    Silence(
        "terminal-settings", "termios.tcsetattr, tty.setraw", "how the caller's terminal behaves",
        related=("fcntl.ioctl",),
    ),
    Silence(
        "listen", "socket.listen", "a socket that was never bound listens on any free port",
        "", _NET, related=("socket.bind",),
    ),
    Silence(
        "accept", "socket.accept", "the peer is in no event: only socket.__new__ is raised",
        "", _NET, related=("socket.__new__", "socket.bind"),
    ),
    Silence(
        "connected-sockets", "send, sendall, sendfile, recv, shutdown on a connected socket",
        "the data itself: events tell of connecting, never of what is sent", "", _NET,
        related=("socket.connect", "socket.sendto"),
    ),
    Silence(
        "socket-options", "setsockopt, set_inheritable", "how a socket shares its port, where it "
        "goes out", "", _NET, related=("socket.__new__",),
    ),
    Silence(
        "import-system-edits", "changes of sys.modules, sys.path, sys.meta_path, sys.path_hooks",
        "later imports give other code", "", (), edits=True, related=("import",),
    ),
    Silence(
        "module-edits", "assignment to an attribute of a module, to builtins",
        "later calls run other code; reported for the modules that matter most", "", (),
        edits=True, related=("object.__setattr__",),
    ),
    Silence(
        "class-edits", "assignment to an attribute of a class (X.a = 1)",
        "PEP 578 promised object.__setattr__ here; reported for classes of the standard library",
        "", (), edits=True, related=("object.__setattr__", "object.__delattr__"),
    ),
    Silence(
        "frame-walk", "f_back, f_globals, f_locals of a frame that one has",
        "reads and writes the variables of every caller",
        related=("sys._getframe", "object.__getattr__"),
    ),
    Silence(
        "cached-import", "import of a module that is in sys.modules", "only the first import of a "
        "module raises an event", related=("import",),
    ),
    Silence(
        "import-module", "importlib.import_module, and loaders called directly",
        "the module's name is in no event; those of its file (open, compile, exec) are",
        "-3.14", related=("import",),
    ),
    Silence(
        "built-in-loader", "BuiltinImporter, _imp.create_builtin",
        "a module that is compiled into the interpreter is had without any event",
        "", ("extensions",), related=("import",),
    ),
    Silence(
        "cached-foreign-call", "calling a ctypes function that one has",
        "any C function, with any arguments; only its lookup was told",
        "-3.13", ("extensions",), ("open", "exec", "connect", "executable memory"),
        related=("ctypes.call_function", "ctypes.dlsym"),
    ),
    Silence(
        "memory-of-a-map", "reading and writing an mmap", "changes a file that was mapped before",
        related=("mmap.__new__",),
    ),
)  # fmt: skip
