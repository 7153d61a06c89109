"""What a greeting and an event tell of processes, source text and code objects."""

from __future__ import annotations

import hashlib
import os
import time

from belljar.events.targets import BigInt, Code, Cut


def test_a_greeting_tells_the_process(interpreter, record):
    found = record(
        [interpreter, "-I", "-S", "-c", "import os; os.fork() or os._exit(0); os.wait()"]
    )
    first, forked = found.hellos
    assert first.executable == os.path.realpath(interpreter)
    assert first.uid == os.getuid()
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    assert uptime - 6000 < first.start <= forked.start <= uptime + 100
    assert (forked.executable, forked.forked) == (first.executable, True)


def test_text_that_is_made_is_kept_with_its_digest(interpreter, record, tmp_path):
    file = tmp_path / "module.py"
    file.write_text("x = 'été'\n" * 300)
    (tmp_path / "<made>").write_text("a file of this name changes nothing")
    found = record(
        [
            interpreter, "-I", "-S", "-c",
            "import sys\n"
            "exec(compile('a = 1\\n' * 300, '<made>', 'exec'))\n"
            "compile('b = \"é\"\\n' * 900, '<made>', 'exec')\n"
            "compile('c = 1\\n' * 900, '/nowhere/at/all.py', 'exec')\n"
            f"path = {str(file)!r}\n"
            "exec(compile(open(path, 'rb').read(), path, 'exec'))\n"
            "eval('1 + 1')\n",
        ],
        cwd=tmp_path,
    )  # fmt: skip
    assert found.status == 0, found.err
    made = [e.args for e in found.named("compile") if e.args[1] != "<string>"]
    texts = {}
    for text, name in made:
        texts.setdefault(name, []).append(text)

    def same(kept, text, size):
        whole = text.encode()
        assert kept == Cut(text[:size], len(whole), hashlib.sha256(whole).digest())

    small, large = texts["<made>"][-2:]
    assert small == b"a = 1\n" * 300
    assert large.length == 900 * 9
    assert large.digest == hashlib.sha256(('b = "é"\n' * 900).encode()).digest()
    assert large.text == ('b = "é"\n' * 900).encode()[:2000].decode("utf-8", "surrogateescape")
    same(texts["/nowhere/at/all.py"][-1], "c = 1\n" * 900, 2000)
    kept = texts[str(file)][-1]
    assert (len(kept.text.encode("utf-8", "surrogateescape")), kept.length) == (64, 300 * 12)
    assert kept.digest == hashlib.sha256(file.read_bytes()).digest()


def test_the_digest_is_sha256_at_every_length(run_code):
    found = run_code(
        "for n in range(2001, 2140):\n"
        "    compile(f'#{n}'.ljust(n, 'x'), '<made>', 'exec')\n"
        "compile('#' + 'y' * 1_000_000, '<made>', 'exec')\n"
    )
    cut = [e.args[0] for e in found.named("compile") if e.args[1:] == ("<made>",)]
    assert len(cut) == 140
    for kept in cut[:-1]:
        whole = f"#{kept.length}".ljust(kept.length, "x").encode()
        assert kept == Cut(whole[:2000].decode(), len(whole), hashlib.sha256(whole).digest())
    assert cut[-1].digest == hashlib.sha256(b"#" + b"y" * 1_000_000).digest()


def test_what_is_executed_is_named(interpreter, record):
    found = record(
        [
            interpreter, "-I", "-S", "-c",
            "import sys\n"
            "exec(compile('\\n\\nx = 1', '/some/where.py', 'exec'))\n"
            "def f(): pass\n"
            "class Name(str):\n    def __eq__(self, other): print('GUEST CODE RAN')\n"
            "    __hash__ = str.__hash__; __str__ = __repr__ = __len__ = __eq__\n"
            "sys.audit('mark', f.__code__.replace(co_name='n' * 400, co_filename='\\udcff'))\n"
            "try: odd = f.__code__.replace(co_filename=Name('x'), co_name=Name('y'))\n"
            "except TypeError: odd = f.__code__\n"
            "sys.audit('mark', odd, [odd])\n",
        ]
    )  # fmt: skip
    assert (found.status, found.out) == (0, ""), found.err
    event = next(e for e in found.named("exec") if e.args[0].file == "/some/where.py")
    assert (event.args[0].name, event.right) == ("<module>", "code")
    assert event.args[0].line in (1, 3)
    assert (event.target, event.asked) == ("/some/where.py", "/some/where.py")
    long, odd = found.named("mark")
    assert long.args == (Code("\udcff", "n" * 128 + "…", 3),)
    assert odd.args[1] == (odd.args[0],)
    assert type(odd.args[0]) is Code


def test_large_numbers_and_long_arrays_still_fit(run_code):
    found = run_code("import sys\nsys.audit('mark', [1 << 99] * 100, ('x' * 600,) * 30, 5)\n")
    (event,) = found.named("mark")
    assert event.args[0][:64] == (BigInt(100),) * 64
    assert event.args[2] == 5
    assert event.stack[0].file == "<string>"
