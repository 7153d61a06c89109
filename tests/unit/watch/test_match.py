"""Which event explains which call: rules that need no process."""

from __future__ import annotations

import struct

import pytest

from belljar._native import pack
from belljar.events.syscalls import Syscall
from belljar.watch.match import Seen, database, explain, is_housekeeping, recorded, starts


def seen(name, *args, cwd="/w", time=1):
    """An event as it comes."""
    body = pack([name, list(args), None, cwd])
    head = struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(body), 2, 0, 2, 7, 7, 1, time)
    return Seen(name, time, head + body)


def call(kind, target, asked=None, *, name="", number=0, **more):
    """A call as it was decoded."""
    return Syscall(name, kind, 7, 7, 1, 2, 0, 1, number, target, asked or target, **more)


def told(what, *events, follows="", databases=()):
    return explain(what, events, follows, databases)


def test_an_event_explains_the_call_that_names_the_same_path_and_only_one():
    event = seen("open", "x", "r", 0)
    assert told(call("open", "/w/x", "x"), event) == "open"
    assert told(call("open", "/w/x", "x"), event) is None


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (seen("open", "x", "r", 0), call("open", "/w/y", "y")),
        (seen("open", "/w/x", "r", 0), call("unlink", "/w/x")),
        (seen("os.remove", "/w/x", -1), call("open", "/w/x")),
        (seen("os.rename", "a", "b", -1, -1), call("rename", "/w/b", "b", other="/w/c")),
        (seen("socket.connect", None, ["1.2.3.4", 80]), call("connect", "1.2.3.5:80")),
        (seen("socket.connect", None, ["1.2.3.4", 80]), call("connect", "1.2.3.4:81")),
        (seen("socket.connect", None, ["name", 80]), call("connect", "1.2.3.4:81")),
        (seen("socket.bind", None, ["1.2.3.4", 80]), call("connect", "1.2.3.4:80")),
        (seen("socket.connect", None, "s"), call("connect", "unix:/w/other")),
        (seen("import", "m", None, None, None, None), call("open", "/usr/lib/m.so")),
        (seen("import", "m", "/m.so", None, None, None), call("open", "/etc/passwd")),
        (seen("import", "m", "/m.so", None, None, None), call("open", "/m.so", number=1)),
        (seen("ctypes.dlopen", None), call("open", "/usr/lib/m.so")),
        (seen("socket.getaddrinfo", "h", 1, 0, 0, 0), call("open", "/etc/passwd")),
        (seen("socket.getaddrinfo", "h", 1, 0, 0, 0), call("connect", "1.2.3.4:80")),
        (seen("mmap.__new__", -1, 4096, 0, 0), call("executable memory", "", number=8192)),
        (seen("compile", None, "<x>"), call("memfd", "memfd:x")),
        (seen("os.fork"), call("ptrace", "")),
    ],
)
def test_another_event_does_not_explain(event, what):
    assert told(what, event) is None


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (seen("os.listdir", None, cwd=None), call("open", "/w", ".")),
        (seen("os.remove", "x", -1), call("unlink", "/w/x", "x")),
        (seen("os.remove", "x", 5, cwd=None), call("unlink", "/elsewhere/x", "x")),
        (seen("os.rename", "a", "b", -1, -1), call("rename", "/w/b", "b", other="/w/a")),
        (seen("socket.connect", None, ["1.2.3.4", 80]), call("connect", "1.2.3.4:80")),
        (seen("socket.connect", None, ["name", 80]), call("connect", "1.2.3.4:80")),
        (seen("socket.connect", None, ["0::1", 80, 0, 0]), call("connect", "[::1]:80")),
        (seen("socket.connect", None, "s", cwd=None), call("connect", "unix:/w/s")),
        (seen("socket.sendto", None, ["1.2.3.4", 9]), call("send", "udp:1.2.3.4:9")),
        (seen("mmap.__new__", -1, 4096, 0, 0), call("executable memory", "", number=4096)),
        (seen("syslog.openlog", "x", 0, 0), call("connect", "unix:/dev/log")),
    ],
)
def test_the_same_thing_named_differently_is_explained(event, what):
    assert told(what, event) == event.name


def test_an_import_explains_its_library_and_those_that_it_needs():
    event = seen("import", "m", "/x/m.so", None, None, None)
    for path in ("/x/m.so", "/etc/ld.so.cache", "/usr/lib/libz.so.1", "/usr/lib/libz.so.1.2.3"):
        assert told(call("open", path), event)
    assert told(call("executable memory", "/usr/lib/libz.so.1"), event)
    later = seen("compile", None, "<x>")
    assert told(call("open", "/usr/lib/libz.so.1"), later, event) is None, "no longer the newest"


def test_resolving_explains_the_resolvers_reading_also_before_connect():
    for files in ("/etc/hosts", "/etc/resolv.conf", "/lib/libnss_dns.so.2"):
        assert told(call("open", files), seen("socket.getaddrinfo", "h", 1, 0, 0, 0))
        assert told(call("open", files), follows="socket.connect")
        assert told(call("open", files)) is None
    assert told(call("connect", "udp:9.9.9.9:53"), seen("socket.gethostbyname", "h"))
    # the resolver asks the kernel which of the addresses is nearest, and nothing is sent by that
    assert told(call("connect", "udp:10.1.2.3:443"), seen("socket.getaddrinfo", "h", 443))
    assert told(call("connect", "udp:10.1.2.3:0"), seen("socket.getaddrinfo", "h", None))
    assert not told(call("connect", "udp:10.1.2.3:9999"), seen("socket.getaddrinfo", "h", 443))
    assert not told(call("connect", "udp:10.1.2.3:9999"), seen("socket.gethostbyname", "h"))


def test_a_database_explains_its_journal_but_not_its_neighbour():
    event = seen("sqlite3.connect", "one.db")
    assert database(event) == "/w/one.db"
    assert database(seen("sqlite3.connect", "file:one.db?mode=ro")) == "/w/one.db"
    assert database(seen("sqlite3.connect", "file:///a/one.db")) == "/a/one.db"
    assert database(seen("sqlite3.connect", ":memory:")) is None
    for suffix in ("", "-journal", "-wal", "-shm"):
        assert told(call("open", f"/w/one.db{suffix}"), databases=["/w/one.db"])
    assert told(call("unlink", "/w/one.db-journal"), databases=["/w/one.db"])
    assert told(call("open", "/w/one.db.bak"), databases=["/w/one.db"]) is None


def test_a_start_explains_every_candidate_on_the_path_of_one_process():
    event = seen("subprocess.Popen", "prog", ["prog"], None, None)
    for place in ("/bin", "/usr/bin"):
        assert starts(call("exec", f"{place}/prog"), [event], 100) == "subprocess.Popen"
    assert starts(call("exec", "/bin/prog"), [event], 101) is None
    assert starts(call("exec", "/bin/other"), [seen("os.exec", "/bin/prog", [], None)], 1) is None


def test_two_events_of_one_start_are_used_up_together():
    events = [
        seen("os.posix_spawn", "/bin/prog", [], None),
        seen("subprocess.Popen", "/bin/prog", [], None, None),
    ]
    assert starts(call("exec", "/bin/prog"), events, 100)
    assert starts(call("exec", "/bin/prog"), events, 101) is None


def test_the_c_library_may_read_its_files_and_not_write_them():
    assert is_housekeeping(call("open", "/etc/localtime"))
    assert not is_housekeeping(call("open", "/etc/localtime", number=1))
    assert not is_housekeeping(call("open", "/etc/passwd"))
    assert is_housekeeping(call("open", "/proc/7/maps"))  # its own: libffi, when ctypes is loaded
    assert not is_housekeeping(call("open", "/proc/8/maps"))
    assert not is_housekeeping(call("open", "/proc/7/maps", number=2))
    assert not is_housekeeping(call("open", "/proc/7/mem"))
    assert not is_housekeeping(call("unlink", "/etc/localtime"))


def test_an_event_that_cannot_be_decoded_explains_nothing():
    assert told(call("open", "/x"), Seen("open", 1, b"garbage")) is None


def test_what_the_recorder_saw_by_itself_explains_nothing_and_is_known():
    opened = seen("belljar.open", "/x", None, 0)
    assert told(call("open", "/x"), opened) is None
    assert recorded(call("open", "/y"), [opened]) == ""
    assert recorded(call("open", "/x"), [opened]) == "belljar.open"
    assert recorded(call("open", "/x"), [opened]) == "", "once"
    started = seen("belljar.exec", "/bin/prog", ["prog"])
    assert recorded(call("exec", "/bin/prog"), [started]) == "belljar.exec"
    assert recorded(call("exec", "/usr/bin/prog"), [started]) == "belljar.exec"
    assert recorded(call("exec", "/bin/other"), [started]) == ""
