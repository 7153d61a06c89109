"""The operations of `belljar.events.silences`, one for each name, as code to be run.

`PREPARE` runs before the hook is listening, `DO` while it is. `KNOWN` are events that the
operation raises besides, which do not tell of it. An operation that this interpreter was built
without is named in `NEEDS`: the module, or the function of `os`, that must be there.
"""

from __future__ import annotations

PREPARE = {
    "tls-files": """
import ssl, socket
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
""",
    "sqlite-attach": "import sqlite3; db = sqlite3.connect(':memory:')",
    "sqlite-vacuum-into": "import sqlite3; db = sqlite3.connect(':memory:')",
    "readline-files": "import readline; open('history', 'w').write('a\\n')",
    "fork-exec": """
import _posixsubprocess, inspect, multiprocessing.util, os
reading, writing = os.pipe()
""",
    "shm-open": "import _posixshmem, os",
    "memfd-create": "import os",
    "mkfifo": "import os",
    "dup2": "import os; open('a', 'w').close(); one = os.open('a', 0)",
    "descriptor-io": "import os; one = os.open('a', os.O_RDWR | os.O_CREAT); two = os.dup(one)",
    "change-user": "import os",
    "change-root": "import os",
    "namespaces": "import os",
    "pidfd-signal": "import os, signal; pidfd = os.pidfd_open(os.getpid())",
    "signal-handlers": "import signal",
    "end-itself": "import os, signal",
    "listen": "import socket; s = socket.socket()",
    "accept": """
import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
""",
    "connected-sockets": "import socket; one, two = socket.socketpair()",
    "socket-options": "import socket; s = socket.socket()",
    "file-metadata": "import os; os.symlink('/etc/passwd', 'link')",
    "environment-read": "import os",
    "system-facts": "import os",
    "user-database": "import pwd, grp",
    "shadow-database": "import warnings; warnings.simplefilter('ignore'); import spwd",
    "time-zone-file": "import os, time; os.environ['TZ'] = ':/etc/localtime'",
    "terminfo": "import curses, os; sink = os.open('/dev/null', 1)",
    "pseudo-terminal": "import os",
    "tcl": "import tkinter; tcl = tkinter.Tcl()",
    "import-system-edits": "import sys, json",
    "module-edits": "import json",
    "class-edits": "import json.decoder",
    "frame-walk": "import sys\ndef inner(): return sys._getframe()\nframe = inner()",
    "cached-import": "import json",
    "import-module": """
import importlib, json
open('quiet_module.py', 'w').write('x = 1')
import sys; sys.path.insert(0, '')
""",
    "built-in-loader": "import _imp, importlib.machinery as m; s = m.ModuleSpec('xxx', None)",
    "cached-foreign-call": "import ctypes; call = ctypes.CDLL(None).getpid; call()",
    "thread-start": "import _thread",
    "perf-map": "import sys, os",
    "process-settings": "import os",
    "terminal-settings": "import os, termios; ours, theirs = os.openpty()",
    "memory-of-a-map": "import mmap; m = mmap.mmap(-1, 4096)",
}

DO = {
    "tls-files": "context.load_verify_locations(BUNDLE)",
    "sqlite-attach": """
db.execute("attach 'other.db' as other"); db.execute('create table other.t (x)')
""",
    "sqlite-vacuum-into": "db.execute(\"vacuum into 'copy.db'\")",
    "readline-files": "readline.read_history_file('history'); readline.write_history_file('out')",
    "fork-exec": "multiprocessing.util.spawnv_passfds(b'/bin/true', ['true'], [writing])",
    "shm-open": """
name = f'/quiet-{os.getpid()}'
os.close(_posixshmem.shm_open(name, os.O_CREAT | os.O_RDWR, mode=0o600))
_posixshmem.shm_unlink(name)
""",
    "memfd-create": "os.write(os.memfd_create('x'), b'x')",
    "mkfifo": "os.mkfifo('fifo')",
    "dup2": "os.dup2(one, 300); os.close(300)",
    "descriptor-io": """
os.write(one, b'secret'); os.pread(one, 6, 0); os.sendfile(two, one, 0, 6)
os.copy_file_range(one, two, 6, 0, 6)
""",
    "change-user": "os.setuid(os.getuid()); os.setgid(os.getgid()); os.setresuid(-1, -1, -1)",
    "change-root": "attempt(os.chroot, '/no/such')",
    "namespaces": "attempt(os.unshare, 0); attempt(os.setns, os.dup(0), 0)",
    "pidfd-signal": "signal.pidfd_send_signal(pidfd, 0)",
    "signal-handlers": "signal.signal(signal.SIGUSR1, signal.SIG_IGN); signal.setitimer(0, 0)",
    "end-itself": "signal.raise_signal(signal.SIGCHLD)",
    "listen": "s.listen()",
    "accept": "server.accept()",
    "connected-sockets": "one.sendall(b'secret'); two.recv(6); one.send(b''); two.close()",
    "socket-options": "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)",
    "file-metadata": """
os.stat('/etc/passwd'); os.lstat('/etc/shadow'); os.readlink('link'); os.access('/root', 4)
os.path.exists('/etc/hosts'); os.statvfs('/')
""",
    "environment-read": "os.environ['PATH']; os.getenv('HOME'); dict(os.environ)",
    "system-facts": "os.uname(); os.getuid(); os.getloadavg(); os.cpu_count()",
    "user-database": "pwd.getpwall(); pwd.getpwnam('root'); grp.getgrall()",
    "shadow-database": "spwd.getspall()",
    "time-zone-file": "time.tzset()",
    "terminfo": "curses.setupterm('xterm', sink)",
    "pseudo-terminal": "os.openpty()",
    "tcl": "tcl.eval('set f [open /etc/passwd]; set t [read $f]; exec true; string length $t')",
    "import-system-edits": """
sys.modules['json2'] = json; sys.path.append('/x'); sys.meta_path.append(None)
sys.meta_path.pop(); sys.path_hooks.append(None); sys.path_hooks.pop()
""",
    "module-edits": "json.loads = print; import builtins; builtins.extra = 1",
    "class-edits": "json.decoder.JSONDecoder.decode = print; json.decoder.JSONDecoder.extra = 1",
    "frame-walk": "frame.f_back.f_globals; frame.f_locals; frame.f_builtins",
    "cached-import": "import json; __import__('json')",
    "import-module": "importlib.import_module('quiet_module')",
    "built-in-loader": "s = m.BuiltinImporter.find_spec('_symtable'); _imp.create_builtin(s)",
    "cached-foreign-call": "call()",
    "thread-start": "_thread.start_new_thread(int, ())",
    "perf-map": "attempt(sys.activate_stack_trampoline, 'perf'); sys.deactivate_stack_trampoline()",
    "process-settings": """
os.umask(os.umask(0o22)); os.nice(0); os.sched_setaffinity(0, os.sched_getaffinity(0))
""",
    "terminal-settings": "termios.tcsetattr(theirs, 0, termios.tcgetattr(theirs))",
    "memory-of-a-map": "m[0] = 1; m.flush(); m.close()",
}

KNOWN = {
    "accept": {"socket.__new__"},
    "import-module": {"open", "os.listdir", "compile", "exec", "marshal.dumps", "marshal.loads",
                      "os.mkdir", "os.rename", "builtins.id"},
}  # fmt: skip

#: module, or `os.function`, or `sys.function`
NEEDS = {
    "readline-files": "readline",
    "terminfo": "curses",
    "tcl": "tkinter",
    "shadow-database": "spwd",
    "namespaces": "os.unshare",
    "perf-map": "sys.activate_stack_trampoline",
}
