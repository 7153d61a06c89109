"""Which frame answers for an event, whole stacks, and local values: no code of the program runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from belljar.model import Frame

STACKS = "stacks\t8\nlocals\t1\n"


def test_the_program_answers_for_what_the_library_does_for_it(interpreter, record, tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "import _thread, os, pathlib, sys, tempfile, time\n"
        "def read(path):\n"
        "    return path.read_bytes()\n"
        "path = pathlib.Path('/etc/hosts')\n"
        "for _ in range(5): _thread.start_new_thread(path.read_bytes, ())\n"
        "time.sleep(0.3)\n"
        "path.read_bytes()\n"
        "for _ in range(5):\n"
        "    read(pathlib.Path('/etc/hostname'))\n"
        "    tempfile.mkdtemp(dir=sys.argv[1])\n"
        "os.makedirs(sys.argv[1] + '/a/b')\n"  # frozen from 3.11 on
    )
    found = record([interpreter, "-I", "-S", str(script), str(tmp_path)])
    assert found.status == 0, found.err
    opened = [e for e in found.named("open") if e.args[0] == "/etc/hostname"]
    made = [e.stack for e in found.named("os.mkdir")]
    assert len(opened) >= 5
    assert {e.stack for e in opened} == {(Frame(str(script), 3, "read"),)}
    assert made[:5] == [(Frame(str(script), 10, "<module>"),)] * 5
    assert made[5:] == [(Frame(str(script), 11, "<module>"),)] * 2
    # What no frame of the program is beyond is the library's; the same place in it may be both.
    alone = [e.stack[0].file for e in found.named("open") if e.args[0] == "/etc/hosts"]
    assert "pathlib" in alone[0].removeprefix(str(tmp_path))
    assert alone[0] != str(script)
    assert alone[-1] == str(script)


def test_an_import_is_its_modules_doing(interpreter, record, tmp_path):
    (tmp_path / "outer.py").write_text("import os\nopen('/etc/hostname').close()\nimport inner\n")
    (tmp_path / "inner.py").write_text("os = __import__('os'); os.listdir('/etc')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import outer, json.tool"
    found = record([interpreter, "-I", "-S", "-c", code])
    assert found.status == 0, found.err
    (listed,) = [e for e in found.named("os.listdir") if e.args == ("/etc",)]
    assert listed.stack[0] == Frame(f"{tmp_path}/inner.py", 1, "<module>")
    imported = {e.args[0]: e.stack[0].file for e in found.named("import") if e.stack}
    assert imported["outer"] == "<string>"
    assert imported["inner"] == f"{tmp_path}/outer.py"
    assert imported["json.decoder"].endswith("/json/__init__.py")  # the library's own import


def test_who_has_something_written_through_the_import_machinery_answers(
    interpreter, record, tmp_path
):
    (tmp_path / "one.py").write_text("x = 1\n")
    script = tmp_path / "job.py"
    script.write_text(
        "import py_compile, sys\npy_compile.compile(sys.argv[1], cfile=sys.argv[2])\n"
    )
    made = str(tmp_path / "out.pyc")
    found = record([interpreter, "-I", "-S", str(script), str(tmp_path / "one.py"), made])
    assert found.status == 0, found.err
    wrote = [e for e in found.named("open") if str(e.args[0]).startswith(made)]
    moved = [e for e in found.named("os.rename") if e.args[1] == made]
    assert (len(wrote), len(moved)) == (1, 1)
    assert {e.stack[0] for e in wrote + moved} == {Frame(str(script), 2, "<module>")}


def test_the_library_answers_where_nothing_else_does(run_code):
    found = run_code("import sys; sys.exit()", env={})
    pycs = [e for e in found.named("exec") if e.stack]
    assert all(e.stack[0].file for e in pycs)
    found = run_code("import _thread, os, time\n_thread.start_new_thread(os.listdir, ('/etc',))\n"
                     "time.sleep(0.2)")  # fmt: skip
    assert [e.stack for e in found.named("os.listdir") if e.args == ("/etc",)] == [()]


def test_code_that_calls_itself_a_library_only_moves_the_blame_outwards(run_code):
    found = run_code(
        "import sys\n"
        "code = compile('sys.audit(\"mark\", 1)', '/usr/lib/python3.11/os.py', 'exec')\n"
        "for _ in range(4): exec(code)\n"
        "strange = compile('sys.audit(\"mark\", 2)', 'x\\ud800' * 400, 'exec')\n"
        "exec(strange)\n"
    )
    assert [e.stack[0].file for e in found.named("mark")[:4]] == ["<string>"] * 4
    last = found.named("mark")[4].stack[0]
    assert last.file.startswith("x\ud800x\ud800")
    assert last.file.endswith("…")


LOCALS = """
import sys
hidden_token = 'abc'
count = 3
class Evil:
    def __repr__(self): raise SystemExit(9)
    __str__ = __eq__ = __getattribute__ = __repr__
    __hash__ = object.__hash__
class Str(str): __eq__ = Evil.__repr__; __hash__ = str.__hash__
def inner(x, y=2.5, *, password='pw', blob=b'b' * 100, obj=Evil(), text=Str('s'), none=None):
    unbound: int
    def cell(): return x
    sys.audit('mark', 1)
    late = 1
def outer(secret_key):
    class Body:
        inner('A')
outer('k')
"""


def test_stacks_and_simple_values_are_told_where_asked_for(interpreter, record):
    found = record([interpreter, "-I", "-S", "-c", LOCALS], settings=STACKS)
    assert (found.status, found.err) == (0, "")
    (event,) = found.named("mark")
    assert [f.function for f in event.frames] == ["inner", "Body", "outer", "<module>"]
    assert [f.line for f in event.frames] == [13, 17, 16, 18]
    assert event.stack == (event.frames[0].replace(values=()),)
    assert event.frames[1].values == ()  # a class body's namespace may be anything
    assert event.frames[3].values == (("hidden_token", None), ("count", 3))
    values = dict(event.frames[0].values)
    if event_has_locals(interpreter):
        cut = values.pop("blob")
        assert (len(cut.text), cut.length) == (64, 100)
        assert values == {"x": "A", "y": 2.5, "password": None, "none": None}
        assert event.frames[2].values == (("secret_key", None),)
    else:
        assert values == {}  # reading them would merge them into a dict of the program's


def event_has_locals(interpreter):
    code = "import sys; print(sys.version_info >= (3, 12))"
    return subprocess.check_output([interpreter, "-I", "-c", code], text=True) == "True\n"


HOSTILE = """
import sys
armed = []
def mark(n, armed=armed, audit=sys.audit):
    armed.append(1); audit('mark', n); armed.clear()
class Key(str):
    def __eq__(self, other): armed and print('GUEST CODE RAN'); return False
    def __hash__(self): return hash('x')
class Names(dict):
    def __getitem__(self, name): return dict.__getitem__(self, name)
    def keys(self): armed and print('GUEST CODE RAN'); return []
    __iter__ = items = keys
class Gone:
    def __del__(self): print('finalised at', self.when)
def f(x):
    frame = sys._getframe()
    frame.f_locals
    try: frame.f_locals[Key('y')] = 1
    except Exception: pass
    mark(1)
f(1)
exec("mark(2)", {'mark': mark}, Names(a=1))
exec("b = 1\\nmark(3)", {Key('zz'): 3, 'mark': mark, '__builtins__': __builtins__})
class Space(Names):
    def __setitem__(self, name, value):
        armed and print('GUEST CODE RAN')
        dict.__setitem__(self, name, value)
    def __delitem__(self, name):
        armed and print('GUEST CODE RAN')
        dict.__delitem__(self, name)
class Meta(type):
    def __prepare__(*args): return Space()
    def __new__(meta, name, bases, space):
        return type.__new__(type, name, bases, {k: v for k, v in dict.items(space)})
class Celled(metaclass=Meta):
    def method(self): return __class__
    mark(4)
def g(x):
    x = Gone(); x.when = 'once'
    mark(5)
    del x
    print('after')
g(0)
"""


def test_odd_namespaces_run_no_code_and_keep_nothing_alive(interpreter, record):
    found = record([interpreter, "-I", "-S", "-c", HOSTILE], settings=STACKS)
    assert found.status == 0, found.err
    assert found.out == "finalised at once\nafter\n"
    assert found.marks() == [1, 2, 3, 4, 5]


def test_a_deep_stack_loses_its_outermost_frames(run_code):
    found = run_code(
        "import sys\n"
        "source = 'def f(n, t):\\n sys.audit(\"mark\", t) if n == 0 else f(n - 1, t)\\n'\n"
        "exec(compile(source, '/' + 'd' * 400, 'exec'))\n"
        "f(40, 'a' * 1000)\n",
        settings="stacks\t32\nlocals\t1\n",
    )
    (event,) = found.named("mark")
    assert event.args == ("a" * 1000,)
    assert 2 <= len(event.frames) < 32
    assert {f.function for f in event.frames} == {"f"}
    assert found.raw[-1][4] == 3


def test_no_more_frames_than_asked_for(run_code):
    source = (
        "import sys\n"
        "def f(n): sys.audit('mark', 1) if n == 0 else f(n - 1)\n"
        "f(50)\n"
    )  # fmt: skip
    for n in (1, 7, 32):
        (event,) = run_code(source, settings=f"stacks\t{n}\n").named("mark")
        assert len(event.frames) == n
        assert event.frames[0].values == ()
    (event,) = run_code(source, settings="stacks\t0\n").named("mark")
    assert event.frames == ()


@pytest.mark.parametrize("where", ["_interpreters", "_xxsubinterpreters"])
def test_stacks_in_other_interpreters_and_threads(run_code, where):
    found = run_code(
        "import sys, threading\n"
        f"try: import {where} as i\n"
        "except ImportError: i = None\n"
        "code = 'import sys\\ndef f(n):\\n sys.audit(\"mark\", n)\\nfor n in range(3): f(n)'\n"
        "for n in range(2):\n"
        "    if i is None: exec(code); continue\n"
        "    one = i.create(); i.run_string(one, code); i.destroy(one)\n"
        "def work():\n"
        "    for n in range(50): sys.audit('other', n)\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n",
        settings=STACKS,
    )
    assert found.status == 0, found.err
    assert [len(e.frames) for e in found.named("mark")] == [2] * 6 or [
        len(e.frames) for e in found.named("mark")
    ] == [3] * 6
    assert len(found.named("other")) == 200
    assert {e.frames[0].function for e in found.named("other")} == {"work"}
    assert os.path.basename(found.named("other")[0].frames[-1].file) == "threading.py"
    assert sys.version_info >= (3, 11)
