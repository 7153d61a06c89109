"""What the table of audit events says beyond `catalogue`: types, platforms, doubles, lies.

Cold: loaded by `table` only, for `belljar events`, the documents and the proofs.

Types stand for an event's arguments in order, alternatives parted by `|`. `object` is anything:
the event hands on what the caller gave, which nobody has looked at yet. `code` is a code object.
An event that is not here has no arguments.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_PATH = "str|bytes|object"
_PATH_FD = "str|bytes|int|object"
_SELF_HOST = "object str|bytes|object int|str|None|object"
_SELF_DATA = "object bytes|object"
_CODE = "bytes str str int int int int int int"

# fmt: off
TYPES: Final[dict[str, str]] = {
    # Files
    "open": f"{_PATH_FD} str|None int",
    "os.chdir": _PATH_FD,
    "os.chmod": f"{_PATH_FD} int int",
    "os.chown": f"{_PATH_FD} int int int",
    "os.getxattr": f"{_PATH_FD} str|bytes|object",
    "os.listxattr": f"{_PATH_FD}|None",
    "os.setxattr": f"{_PATH_FD} str|bytes|object bytes int",
    "os.removexattr": f"{_PATH_FD} str|bytes|object",
    "os.link": f"{_PATH} {_PATH} int int",
    "os.symlink": f"{_PATH} {_PATH} int",
    "os.rename": f"{_PATH} {_PATH} int int",
    "os.listdir": f"{_PATH_FD}|None",
    "os.scandir": f"{_PATH_FD}|None",
    "os.mkdir": f"{_PATH} int int",
    "os.rmdir": f"{_PATH} int",
    "os.remove": f"{_PATH} int",
    "os.truncate": f"{_PATH_FD} int",
    "os.utime": f"{_PATH_FD} None|tuple|object None|tuple|object int",
    "os.lockf": "int int int",
    "os.walk": "object object object object",
    "os.fwalk": "object object object object int|None|object",
    "glob.glob": "object object",
    "glob.glob/2": "object object object object",
    "pathlib.Path.glob": "object object",
    "pathlib.Path.rglob": "object object",
    "pathlib.Path.walk": "object object object",
    "shutil.chown": "object str|int|None|object str|int|None|object",
    "shutil.copyfile": "object object",
    "shutil.copymode": "object object",
    "shutil.copystat": "object object",
    "shutil.copytree": "object object",
    "shutil.make_archive": "object str|object object object",
    "shutil.move": "object object",
    "shutil.rmtree": "object int|None|object",
    "shutil.unpack_archive": "object object str|None|object",
    "tempfile.mkstemp": "str|bytes",
    "tempfile.mkdtemp": "str|bytes",
    "sqlite3.connect": _PATH,
    "sqlite3.connect/handle": "object",
    "mmap.__new__": "int int int int",
    "fcntl.fcntl": "int int int|bytes|None|object",
    "fcntl.flock": "int int",
    "fcntl.ioctl": "int int int|bytes|None|object",
    "fcntl.lockf": "int int int|None|object int|None|object int",
    # Network
    "socket.__new__": "object int int int",
    "socket.bind": "object tuple|str|bytes|int|object",
    "socket.connect": "object tuple|str|bytes|int|object",
    "socket.sendto": "object tuple|str|bytes|int|object",
    "socket.sendmsg": "object tuple|str|bytes|int|None|object",
    "socket.getaddrinfo": "str|bytes|None|object int|str|bytes|None|object int int int",
    "socket.gethostbyname": "str",
    "socket.gethostbyaddr": "str",
    "socket.getnameinfo": "tuple",
    "socket.sethostname": "str|bytes|object",
    "socket.getservbyname": "str str|None",
    "socket.getservbyport": "int str|None",
    "ftplib.connect": _SELF_HOST,
    "ftplib.sendcmd": "object str|object",
    "http.client.connect": _SELF_HOST,
    "http.client.send": _SELF_DATA,
    "imaplib.open": _SELF_HOST,
    "imaplib.send": _SELF_DATA,
    "nntplib.connect": _SELF_HOST,
    "nntplib.putline": _SELF_DATA,
    "poplib.connect": _SELF_HOST,
    "poplib.putline": _SELF_DATA,
    "smtplib.connect": _SELF_HOST,
    "smtplib.send": "object bytes|str|object",
    "telnetlib.Telnet.open": _SELF_HOST,
    "telnetlib.Telnet.write": _SELF_DATA,
    "urllib.Request": "str bytes|None|object dict str|object",
    "webbrowser.open": "str|object",
    # Processes
    "os.system": "bytes",
    "os.exec": f"{_PATH_FD} tuple|list|object dict|None|object",
    "os.posix_spawn": f"{_PATH} tuple|list|object dict|None|object",
    "subprocess.Popen": f"{_PATH} str|bytes|list|tuple|object {_PATH}|None dict|None|object",
    "_posixsubprocess.fork_exec": "tuple|object tuple|list|object tuple|list|None|object",
    "pty.spawn": "tuple|list|object",
    "os.kill": "int int",
    "os.killpg": "int int",
    "signal.pthread_kill": "int int",
    "os.putenv": "bytes bytes",
    "os.unsetenv": "bytes",
    "resource.setrlimit": "int tuple|list|object",
    "resource.prlimit": "int int tuple|list|None|object",
    "_thread.start_new_thread": "object tuple dict|None|object",
    "_thread.start_joinable_thread": "object int object",
    "syslog.openlog": "str|None int int",
    "syslog.syslog": "int str",
    "syslog.setlogmask": "int",
    # Imports
    "import": "str|object str|None|object list|None|object list|None|object list|None|object",
    "ensurepip.bootstrap": "str|None|object",
    "belljar.branch": "int",
    "belljar.branch.channel": "int",
    "belljar.branch.limit": "int int int",
    "belljar.branch.own": "int int",
    "belljar.counted": "str int",
    "belljar.denied": "str str object",
    "belljar.narrow": "str str",
    "belljar.open": "str|bytes None int",
    "belljar.exec": "str|bytes list",
    "belljar.silenced": "str",
    "belljar.edit": "str str object",
    # Code
    "compile": "bytes|str|None|object str|None|object",
    "exec": "code",
    "code.__new__": _CODE,
    "function.__new__": "code",
    "marshal.dumps": "object int",
    "marshal.loads": "bytes",
    "pickle.find_class": "str|object str|object",
    "builtins.breakpoint": "object",
    "cpython.run_command": "str",
    "cpython.run_file": "str",
    "cpython.run_module": "str",
    "cpython.run_startup": "str",
    "cpython.run_interactivehook": "object",
    # Native code
    "ctypes.dlopen": "str|None|object",
    "ctypes.dlsym": "object str|int",
    "ctypes.dlsym/handle": "int str",
    "ctypes.call_function": "int tuple",
    "ctypes.addressof": "object",
    "ctypes.cdata": "int",
    "ctypes.cdata/buffer": "int int int",
    "ctypes.create_string_buffer": "bytes|None|object int",
    "ctypes.create_unicode_buffer": "str|None|object int",
    "ctypes.set_errno": "int|object",
    "ctypes.string_at": "int int",
    "ctypes.wstring_at": "int int",
    "ctypes.memoryview_at": "int int bool|int",
    "ctypes.PyObj_FromPtr": "object",
    "sqlite3.enable_load_extension": "object bool",
    "sqlite3.load_extension": "object str",
    # The interpreter
    "object.__getattr__": "object str",
    "object.__setattr__": "object str object",
    "object.__delattr__": "object str",
    "gc.get_objects": "int",
    "gc.get_referrers": "tuple",
    "gc.get_referents": "tuple",
    "sys._getframe": "object",
    "sys._getframemodulename": "int",
    "sys.excepthook": "object object object object",
    "sys.unraisablehook": "object object",
    "sys.monitoring.register_callback": "object",
    "sys.remote_exec": f"int {_PATH}",
    "cpython.remote_debugger_script": "str",
    "remote_debugger_script": "str",
    "cpython.PyConfig_Set": "str object",
    # The rest
    "array.__new__": "str object",
    "builtins.id": "int",
    "builtins.input": "object",
    "builtins.input/result": "str",
    "time.sleep": "int|float|object",
}

#: Other arguments in some versions: (versions, names, types).
VARIANTS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {}

_UNIX = "linux macos"
_LINUX = "linux"
#: Where an event is not raised everywhere.
PLATFORMS: Final[dict[str, str]] = {
    **dict.fromkeys((
        "os.chown", "os.exec", "os.fork", "os.forkpty", "os.killpg", "os.lockf", "os.fwalk",
        "os.posix_spawn", "_posixsubprocess.fork_exec", "pty.spawn", "shutil.chown",
        "signal.pthread_kill", "socket.sendmsg", "socket.sethostname", "fcntl.fcntl",
        "fcntl.flock", "fcntl.ioctl", "fcntl.lockf", "resource.setrlimit", "syslog.openlog",
        "syslog.syslog", "syslog.closelog", "syslog.setlogmask", "ctypes.dlsym/handle",
    ), _UNIX),
    "os.exec": "linux macos windows",
    "resource.prlimit": _LINUX,
    "os.getxattr": _LINUX, "os.listxattr": _LINUX, "os.setxattr": _LINUX, "os.removexattr": _LINUX,
    **dict.fromkeys((
        "belljar.begin", "belljar.counted", "belljar.denied", "belljar.edit", "belljar.exec",
        "belljar.branch", "belljar.branch.apart", "belljar.branch.own", "belljar.narrow",
        "belljar.branch.channel", "belljar.branch.limit", "belljar.open", "belljar.silenced",
    ), _LINUX),
}

#: Other events that one operation raises besides.
DOUBLES: Final[dict[str, tuple[str, ...]]] = {
    "subprocess.Popen": ("os.posix_spawn", "_posixsubprocess.fork_exec"),
    "os.posix_spawn": ("subprocess.Popen",),
    "_posixsubprocess.fork_exec": ("subprocess.Popen",),
    "glob.glob": ("glob.glob/2",),
    "glob.glob/2": ("glob.glob",),
    "pathlib.Path.rglob": ("pathlib.Path.glob",),
    "pathlib.Path.walk": ("os.walk", "os.scandir"),
    "os.walk": ("os.scandir",),
    "os.fwalk": ("open", "os.scandir"),
    "sqlite3.connect": ("sqlite3.connect/handle",),
    "sqlite3.connect/handle": ("sqlite3.connect",),
    "builtins.input": ("builtins.input/result",),
    "http.client.connect": ("socket.getaddrinfo", "socket.connect"),
    "urllib.Request": ("http.client.connect",),
    "shutil.copyfile": ("open",),
    "shutil.copytree": ("os.scandir", "shutil.copyfile"),
    "shutil.move": ("os.rename",),
    "shutil.rmtree": ("os.scandir", "os.remove", "os.rmdir"),
    "tempfile.mkstemp": ("open",),
    "tempfile.mkdtemp": ("os.mkdir",),
    "ctypes.cdata/buffer": ("ctypes.cdata",),
    "ctypes.string_at": ("ctypes.cdata",),
    "import": ("open", "marshal.loads", "compile", "exec"),
    "pty.spawn": ("os.forkpty", "os.exec"),
    "syslog.syslog": ("syslog.openlog",),
    "os.startfile": ("os.startfile/2",),
    "winreg.OpenKey": ("winreg.OpenKey/result",),
    "winreg.CreateKey": ("winreg.OpenKey/result",),
    "cpython.remote_debugger_script": ("remote_debugger_script",),
}

_NAMES = "a subclass of str or a path-like object is handed on: its repr is the attacker's"
_SECRETS = "carries the whole environment; the recorder keeps the names only"
#: What an event says that is not so, or that must not be trusted.
LIES: Final[dict[str, tuple[str, ...]]] = {
    "open": (
        "os.open omits dir_fd: /proc/self/mem can be opened as 'mem'",
        _NAMES,
        "mode is None for os.open, flags are 0 or the flags of the call for others; "
        "an opener may open anything else",
    ),
    "os.chmod": ("os.fchmod passes -1 for dir_fd, os.chmod on a descriptor an int as path",),
    "os.remove": ("os.unlink and os.remove cannot be told apart",),
    "os.rename": ("os.rename and os.replace cannot be told apart", _NAMES),
    "os.system": ("the command is bytes, as encoded by the file system's encoding",),
    "compile": (
        "source is None where the interpreter reads a file itself, such as the main script",
        "filename is None for an AST, whatever compile was told",
    ),
    "exec": ("the file name in the code object is whatever compile was told",),
    "code.__new__": ("raised by code.replace as well, which types.coroutine uses at import",),
    "function.__new__": ("raised before the defaults and the closure are known",),
    "import": (
        "raised for the first import of a module only, with the name as asked",
        "the second event of a C module has its file, and None for the paths",
        "importlib.import_module and loaders raise none before 3.15",
    ),
    "socket.connect": ("raised before the name in the address is resolved",),
    "socket.getaddrinfo": ("host may be bytes or None; the answer is in no event",),
    "socket.__new__": ("accept, socketpair and fromfd raise it as well",),
    "subprocess.Popen": (_SECRETS, "executable is what was asked, not what PATH gave"),
    "os.exec": (_SECRETS, "os.execvp raises it once for each directory of PATH that it tries"),
    "os.posix_spawn": (_SECRETS, "os.posix_spawnp looks the name up on PATH"),
    "_posixsubprocess.fork_exec": (_SECRETS,),
    "os.putenv": ("raised by os.environ['X'] = ..., not by changes that C code makes",),
    "object.__setattr__": (
        "never for ordinary attributes of classes, which PEP 578 promised",
        "for a class, only __name__, __qualname__, __module__, __bases__, __doc__ and the like",
    ),
    "object.__getattr__": ("f_back and f_globals of a frame that one has are silent",),
    "sys._getframe": ("frames come from exceptions and generators, too",),
    "sys.addaudithook": (
        "a hook that raises an Exception here makes the call a silent no-op; the manual says so of "
        "RuntimeError only (corrected in 3.15)",
    ),
    "sys.set_asyncgen_hook_finalizer": (_DOCS := "the manual writes sys.set_asyncgen_hooks_...",),
    "sys.set_asyncgen_hook_firstiter": (_DOCS,),
    "ctypes.call_function": ("before 3.14 never for calls of functions got as attributes",),
    "ctypes.dlsym": ("raised once for each name of a library; the function is kept",),
    "sqlite3.connect": ("ATTACH and VACUUM INTO open further files without a word",),
    "builtins.id": ("the number only: the object is not told",),
    "gc.get_referrers": ("the objects in the tuple are the caller's own",),
    "cpython.run_file": ("the file itself is read without an open event and past open_code",),
    "cpython.remote_debugger_script": (
        "3.14 raises it as remote_debugger_script up to its first maintenance releases",
    ),
    "mmap.__new__": (
        "access is worked out from prot, which is not told, nor are flags; a length of 0 is the "
        "whole file's",
    ),
    "sys.excepthook": ("raised for sys.excepthook only when an exception ends the program",),
    "_thread.start_new_thread": ("threading uses _thread.start_joinable_thread from 3.13",),
    "_winapi.CreateProcess": (
        "from 3.13 the sources declare the command line as a C string that it is not any more",
    ),
    "winreg.DeleteKey": ("winreg.DeleteKey passes 0 for access, DeleteKeyEx its own",),
}
# fmt: on
