"""A hook that is called no more is found out, and what nobody announced is told by the recorder."""

from __future__ import annotations

import os
import sys

import pytest
from recorded import others, record, whole

ZERO = (
    "import ctypes, os, sys\n"
    "base = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, '_PyRuntime'))\n"
    "maps = [l.split() for l in open('/proc/self/maps')]\n"
    "spans = [[int(x, 16) for x in w[0].split('-')] + [w] for w in maps]\n"
    "ours = [s for s in spans if 'belljar-recorder' in s[2][-1]]\n"
    "good = [s for s in spans if s[2][1].startswith('rw')]\n"
    "word = lambda at: ctypes.c_size_t.from_address(at)\n"
    "def is_list(at):\n"
    "    e = word(at).value\n"
    "    inside = e % 8 == 0 and any(s[0] <= e < s[1] - 24 for s in good)\n"
    "    return inside and ours[0][0] <= word(e + 8).value < ours[-1][1]\n"
    "at = next(a for a in range(base, base + 65536, 8) if is_list(a))\n"
    "entry = word(at).value\n"
)


@pytest.mark.parametrize(
    ("silence", "deed", "told"),
    [
        ("word(at).value = 0", "open('/etc/hostname')", ("belljar.open", "/etc/hostname")),
        ("word(at).value = 0", "os.system('true')", ("belljar.exec", "true")),
        ("word(at).value = 0", "os.posix_spawn('/bin/true', ['true'], {})", ("belljar.exec", "tr")),
        ("word(at).value = 0", "os.mkdir('/')", None),
        ("word(at).value = 0", "os.fork() or os._exit(0); os.wait()", None),
        ("word(at).value = 0", "os._exit(0)", None),
        ("word(at).value = 0", "pass", None),
        ("word(entry + 8).value = ctypes.cast(ctypes.pythonapi.Py_IsInitialized,\n"
         "    ctypes.c_void_p).value", "pass", None),
    ],
)  # fmt: skip
def test_a_silenced_hook_is_a_finding_at_the_next_deed(silence, deed, told):
    source = f"{ZERO}sys.audit('mark', 1)\n{silence}\ntry: {deed}\nexcept OSError: pass\n"
    found = record(source, "-S")
    assert found.marks() == [1]
    silenced = [f for f in found.findings if f.kind == "silenced" and f.pid == found.pid]
    names = found.names()
    assert names.count("belljar.silenced") >= 1
    assert silenced
    assert silenced[0].first == found.events[names.index("belljar.silenced")].seq
    assert "is not heard any more" in str(silenced[0])
    if told is not None:
        assert found.told(*told)
        last = len(names) - names[::-1].index(told[0])  # libffi may have opened something before
        assert names.index("belljar.silenced") < last
    assert found.kinds() == {"silenced"}
    assert whole(found)


def test_a_hook_whose_code_was_overwritten_is_found_out_at_the_end():
    source = (
        ZERO + "place = word(entry + 8).value\n"
        "code = b'\\x31\\xc0\\xc3' if os.uname().machine == 'x86_64' else "
        "b'\\x00\\x00\\x80\\x52\\xc0\\x03\\x5f\\xd6'\n"  # return 0
        "mem = os.open('/proc/self/mem', os.O_RDWR)\n"
        "os.pwrite(mem, code, place)\n"
        "sys.audit('mark', 'unheard')\n"
    )
    found = record(source, "-S")
    assert found.marks() == []
    assert found.kinds() == {"silenced"}
    assert "did not hear" in found.events[-1].args[0]


def test_another_hook_beside_ours_is_no_silence():
    source = (
        "import os, sys\n"
        "sys.addaudithook(lambda *_: None)\n"
        "open('/etc/hostname').close(); os.system('true'); os.fork() or os._exit(0)\n"
    )
    found = record(source, "-S")
    assert found.findings == []
    assert "belljar.silenced" not in found.names()


@pytest.mark.parametrize("python", [sys.executable, *others()])
@pytest.mark.parametrize("option", ["--version", "-h", "-Xnothing", "--nonsense"])
def test_an_interpreter_that_never_began_is_not_silenced(option, python):
    found = record("pass", option, python=python)
    assert found.findings == []


@pytest.mark.parametrize("python", [sys.executable, *others()])
def test_what_is_announced_is_not_told_twice(python):
    source = (
        "import os, subprocess, sys, tempfile, shutil, json, socket, glob, io, zipfile\n"
        "open('/etc/hostname').close(); os.close(os.open('/etc/passwd', 0))\n"
        "io.open_code('/etc/hostname').close(); io.FileIO('/etc/hostname').close()\n"
        "os.close(os.open('hostname', 0, dir_fd=os.open('/etc', 0)))\n"
        "tempfile.TemporaryFile().close(); tempfile.NamedTemporaryFile().close()\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        "    shutil.copy('/etc/hostname', d); glob.glob(d + '/*'); os.listdir(d)\n"
        "    z = zipfile.ZipFile(d + '/z.zip', 'w'); z.writestr('m.py', 'x = 1'); z.close()\n"
        "    sys.path.insert(0, d + '/z.zip'); import m\n"
        "for more in ({}, {'close_fds': False}, {'preexec_fn': int}, {'cwd': '/'}):\n"
        "    subprocess.run(['true'], check=True, env={'PATH': '/nowhere:/usr/bin:/bin'}, **more)\n"
        "os.system('true'); os.popen('true').read(); subprocess.run('true', shell=True)\n"
        "os.waitpid(os.posix_spawnp('true', ['true'], os.environ), 0)\n"
        "os.waitpid(os.spawnlp(os.P_NOWAIT, 'true', 'true'), 0)\n"
        "try: open('/nonexistent')\n"
        "except OSError: pass\n"
        "os.fork() or os.execlp('true', 'true'); os.wait()\n"
    )
    found = record(source, python=python)
    assert found.status == 0, found.err
    assert [e.args for e in found.events if e.name in ("belljar.open", "belljar.exec")] == []
    assert found.findings == []


def test_what_c_libraries_open_and_start_is_told():
    source = (
        "import ctypes, os, sqlite3, ssl, sys, tempfile\n"
        "d = tempfile.mkdtemp(); os.chdir(d)\n"
        "base = sqlite3.connect(':memory:')\n"
        "base.execute('ATTACH ? AS other', (d + '/attached',))\n"
        "base.execute('CREATE TABLE other.t (x)')\n"
        "try: ssl.SSLContext().load_verify_locations('/etc/hostname')\n"
        "except ssl.SSLError: pass\n"
        "lib = ctypes.CDLL(None)\n"
        "lib.open(b'/etc/passwd', 0); lib.fopen(b'/etc/group', b'r'); lib.open(b'here', 65, 384)\n"
        "lib.system(b'exit 0')\n"
        "argv = (ctypes.c_char_p * 3)(b'true', b'x', None)\n"
        "pid = ctypes.c_int()\n"
        "lib.posix_spawn(ctypes.byref(pid), b'/bin/true', None, None, argv, None)\n"
        "os.waitpid(pid.value, 0)\n"
        "lib.execv(b'/bin/true', argv)\n"
    )
    found = record(source)
    assert found.status == 0, found.err
    opened = {e.target for e in found.events if e.name == "belljar.open"}
    assert {"/etc/hostname", "/etc/passwd", "/etc/group"} <= opened
    assert {os.path.basename(str(t)) for t in opened} >= {"attached", "attached-journal", "here"}
    started = [(e.target, e.right, e.args[1]) for e in found.events if e.name == "belljar.exec"]
    assert started == [
        ("/bin/sh", "run", ("sh", "-c", "exit 0")),
        ("/bin/true", "run", ("true", "x")),
        ("/bin/true", "run", ("true", "x")),
    ]
    assert found.findings == []
