"""Which OCSF class and activity each catalogued event has (schema 1.7.0, schema.ocsf.io).

Classes by the kind of target: files 1001, memory 1004, modules 1005, processes 1007, the record
itself 1008, code that is executed 1009, network 4001, name resolution 4003; the registry of Windows
is 201001, of OCSF's Windows extension. 99 is OCSF's "other": the class fits and none of its
activities does, and `activity_name` is the event's own name. A test checks that no catalogued
event is missing here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SCHEMA: Final = "1.7.0"
OTHER: Final = 99
BASE, FILE, KERNEL, MEMORY, MODULE, PROCESS = 0, 1001, 1003, 1004, 1005, 1007
EVENT_LOG, SCRIPT, FINDING, NETWORK, DNS, LIFECYCLE = 1008, 1009, 2004, 4001, 4003, 6002
REGISTRY: Final = 201001

#: class -> its category, its caption, the captions of its activities that are used here
CLASSES: Final[dict[int, tuple[int, str, dict[int, str]]]] = {
    BASE: (0, "Base Event", {}),
    FILE: (1, "File System Activity", {
        1: "Create", 2: "Read", 3: "Update", 4: "Delete", 5: "Rename", 6: "Set Attributes",
        7: "Set Security", 8: "Get Attributes", 14: "Open"}),
    KERNEL: (1, "Kernel Activity", {4: "Invoke"}),
    MEMORY: (1, "Memory Activity", {1: "Allocate Page", 7: "Read", 8: "Write", 9: "Map View"}),
    MODULE: (1, "Module Activity", {1: "Load", 3: "Invoke"}),
    PROCESS: (1, "Process Activity", {1: "Launch", 2: "Terminate", 3: "Open", 4: "Inject"}),
    EVENT_LOG: (1, "Event Log Activity", {
        2: "Delete", 5: "Rotate", 6: "Start", 7: "Stop", 9: "Enable", 10: "Disable"}),
    SCRIPT: (1, "Script Activity", {1: "Execute"}),
    FINDING: (2, "Detection Finding", {1: "Create"}),
    NETWORK: (4, "Network Activity", {1: "Open", 6: "Traffic", 7: "Listen"}),
    DNS: (4, "DNS Activity", {1: "Query"}),
    LIFECYCLE: (6, "Application Lifecycle", {3: "Start", 4: "Stop"}),
    REGISTRY: (1, "Registry Key Activity", {
        1: "Create", 2: "Read", 3: "Modify", 4: "Delete", 8: "Import", 9: "Export"}),
}  # fmt: skip

_EVENTS: Final[dict[tuple[int, int], str]] = {
    (FILE, 1): """os.link os.symlink os.mkdir shutil.copyfile shutil.copytree shutil.make_archive
        shutil.unpack_archive tempfile.mkstemp tempfile.mkdtemp _winapi.CopyFile2
        _winapi.CreateFile _winapi.CreateJunction _winapi.CreateNamedPipe _winapi.CreatePipe""",
    (FILE, 2): """os.listdir os.scandir os.walk os.fwalk glob.glob glob.glob/2 pathlib.Path.glob
        pathlib.Path.rglob pathlib.Path.walk os.listdrives os.listmounts os.listvolumes""",
    (FILE, 3): "os.truncate",
    (FILE, 4): "os.rmdir os.remove shutil.rmtree",
    (FILE, 5): "os.rename shutil.move",
    (FILE, 6): "os.setxattr os.removexattr os.utime os.chflags shutil.copystat",
    (FILE, 7): "os.chmod os.chown shutil.chown shutil.copymode",
    (FILE, 8): "os.getxattr os.listxattr",
    (FILE, 14): "open belljar.open sqlite3.connect",
    (FILE, OTHER): """os.chdir os.lockf fcntl.fcntl fcntl.flock fcntl.ioctl fcntl.lockf
        sqlite3.connect/handle msvcrt.get_osfhandle msvcrt.locking msvcrt.open_osfhandle""",
    (MEMORY, 1): "ctypes.create_string_buffer ctypes.create_unicode_buffer array.__new__",
    (MEMORY, 7): "ctypes.string_at ctypes.wstring_at ctypes.PyObj_FromPtr ctypes.addressof",
    (MEMORY, 9): "mmap.__new__ ctypes.memoryview_at ctypes.cdata ctypes.cdata/buffer",
    (MEMORY, OTHER): """builtins.id gc.get_objects gc.get_referrers gc.get_referents""",
    (MODULE, 1): """import ctypes.dlopen sqlite3.load_extension os.add_dll_directory
        ensurepip.bootstrap""",
    (MODULE, 3): "ctypes.dlsym ctypes.dlsym/handle ctypes.call_function",
    (MODULE, OTHER): """belljar.denied pickle.find_class sqlite3.enable_load_extension
        ctypes.get_errno ctypes.set_errno ctypes.get_last_error ctypes.set_last_error
        ctypes.seh_exception ctypes.set_exception""",
    (PROCESS, 1): """os.system os.exec os.posix_spawn subprocess.Popen _posixsubprocess.fork_exec
        os.fork os.forkpty pty.spawn belljar.exec belljar.branch os.spawn os.startfile
        os.startfile/2 _winapi.CreateProcess webbrowser.open""",
    (PROCESS, 2): "_winapi.TerminateProcess",
    (PROCESS, 3): "_winapi.OpenProcess",
    (PROCESS, 4): "sys.remote_exec",
    (PROCESS, OTHER): """os.kill os.killpg signal.pthread_kill os.putenv os.unsetenv
        resource.setrlimit resource.prlimit _thread.start_new_thread
        _thread.start_joinable_thread _winapi.CreateEventW _winapi.CreateMutexW
        _winapi.OpenEventW _winapi.OpenMutexW _wmi.exec_query builtins.input
        builtins.input/result time.sleep object.__getattr__ object.__setattr__
        object.__delattr__ sys._current_exceptions sys._current_frames sys._getframe
        sys._getframemodulename sys.excepthook sys.unraisablehook
        sys.set_asyncgen_hook_finalizer sys.set_asyncgen_hook_firstiter sys.setprofile
        sys.settrace sys.monitoring.register_callback setopencodehook cpython.PyConfig_Set
        cpython.PyInterpreterState_New cpython.PyInterpreterState_Clear belljar.edit
        belljar.branch.apart belljar.branch.channel belljar.branch.limit belljar.branch.own
        winreg.ExpandEnvironmentStrings""",
    (EVENT_LOG, 6): "belljar.begin belljar.narrow",
    (EVENT_LOG, 7): "cpython._PySys_ClearAuditHooks",
    (EVENT_LOG, 9): "sys.addaudithook belljar.hook",
    (EVENT_LOG, 10): "belljar.silenced",
    (EVENT_LOG, OTHER): """belljar.counted syslog.openlog syslog.syslog syslog.closelog
        syslog.setlogmask""",
    (SCRIPT, 1): """exec cpython.run_command cpython.run_file cpython.run_module
        cpython.run_startup cpython.run_stdin cpython.run_interactivehook
        cpython.remote_debugger_script remote_debugger_script""",
    (SCRIPT, OTHER): """compile code.__new__ function.__new__ marshal.dumps marshal.load
        marshal.loads builtins.breakpoint pdb.Pdb""",
    (NETWORK, 1): """socket.connect ftplib.connect http.client.connect imaplib.open
        nntplib.connect poplib.connect smtplib.connect telnetlib.Telnet.open urllib.Request""",
    (NETWORK, 6): """socket.sendto socket.sendmsg ftplib.sendcmd http.client.send imaplib.send
        nntplib.putline poplib.putline smtplib.send telnetlib.Telnet.write""",
    (NETWORK, 7): "socket.bind",
    (NETWORK, OTHER): """socket.__new__ socket.gethostname socket.sethostname
        socket.getservbyname socket.getservbyport""",
    (DNS, 1): """socket.getaddrinfo socket.gethostbyname socket.gethostbyaddr
        socket.getnameinfo""",
    (REGISTRY, 1): "winreg.CreateKey",
    (REGISTRY, 2): """winreg.EnumKey winreg.EnumValue winreg.OpenKey winreg.OpenKey/result
        winreg.QueryInfoKey winreg.QueryReflectionKey winreg.QueryValue""",
    (REGISTRY, 3): "winreg.SetValue winreg.DisableReflectionKey winreg.EnableReflectionKey",
    (REGISTRY, 4): "winreg.DeleteKey winreg.DeleteTree winreg.DeleteValue",
    (REGISTRY, 8): "winreg.LoadKey",
    (REGISTRY, 9): "winreg.SaveKey",
    (REGISTRY, OTHER): "winreg.ConnectRegistry winreg.PyHKEY.Detach",
}
#: name of an event -> class, activity
EVENTS: Final = {name: pair for pair, names in _EVENTS.items() for name in names.split()}

#: kind of a system call that the cross-check saw (`belljar.events.syscalls`) -> class, activity
CALLS: Final = {
    "open": (FILE, 14), "exec": (PROCESS, 1), "connect": (NETWORK, 1), "bind": (NETWORK, 7),
    "send": (NETWORK, 6), "unlink": (FILE, 4), "rename": (FILE, 5),
    "executable memory": (MEMORY, 1), "memfd": (FILE, 1), "ptrace": (PROCESS, 3),
    "io_uring": (KERNEL, 4), "foreign": (KERNEL, 4), "remark": (EVENT_LOG, OTHER),
}  # fmt: skip
#: kind of any other entry -> class, activity
ENTRIES: Final = {
    "hello": (PROCESS, 1), "bye": (PROCESS, 2), "loss": (EVENT_LOG, OTHER),
    "start": (LIFECYCLE, 3), "end": (LIFECYCLE, 4), "decision": (FINDING, 1),
    "recovered": (EVENT_LOG, OTHER), "closed": (EVENT_LOG, 5), "pruned": (EVENT_LOG, 2),
    "epoch": (EVENT_LOG, OTHER), "sender": (EVENT_LOG, OTHER),
}  # fmt: skip
#: An event that is not catalogued (an application's own), by its category if it was declared.
CATEGORIES: Final = {
    "file": (FILE, OTHER), "network": (NETWORK, OTHER), "process": (PROCESS, OTHER),
    "import": (MODULE, OTHER), "code": (SCRIPT, OTHER), "native": (MODULE, OTHER),
}  # fmt: skip


def event_class(name: str, category: str = "") -> tuple[int, int]:
    """Class and activity of the audit event `name`.

    >>> event_class("os.remove"), event_class("shop.refund")
    ((1001, 4), (0, 99))
    """
    return EVENTS.get(name) or CATEGORIES.get(category, (BASE, OTHER))
