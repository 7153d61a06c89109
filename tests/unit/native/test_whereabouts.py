"""Where a path starts, what it leads to, and that its name is kept exactly."""

from __future__ import annotations

import os

from belljar.events.targets import targets

TRY = """
import os, sys
def attempt(act, *args, **kwargs):
    try: act(*args, **kwargs)
    except (OSError, ValueError, TypeError, OverflowError): pass
"""


def test_a_descriptor_tells_its_directory_at_that_moment(interpreter, record, tmp_path):
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "f").write_text("x")
    found = record(
        [
            interpreter, "-I", "-S", "-c",
            TRY + f"os.chdir({str(tmp_path)!r})\n"
            "d = os.open('d', os.O_RDONLY); f = os.open('d/f', os.O_RDWR)\n"
            "os.mkdir('made', dir_fd=d); os.rmdir('made', dir_fd=d)\n"
            "attempt(os.remove, 'gone', dir_fd=d)\n"
            "os.rename('f', 'g', src_dir_fd=d, dst_dir_fd=d)\n"
            "os.rename('d/g', 'f', dst_dir_fd=d)\n"
            "os.rename('f', 'f2', src_dir_fd=d)\n"
            "os.truncate(f, 0); os.chmod(f, 0o600); os.utime(f)\n"
            "os.listdir(d); os.listdir(); os.scandir(d).close()\n"
            "os.rename('d', 'e')\n"
            "os.mkdir('made', dir_fd=d)\n"
            "os.rmdir('made', dir_fd=d); os.rmdir('sub', dir_fd=d); os.rmdir('e')\n"
            "attempt(os.mkdir, 'made', dir_fd=d)\n"
            "attempt(os.mkdir, 'made', dir_fd=99); attempt(os.mkdir, 'made', dir_fd=1 << 70)\n"
            "attempt(os.execve, f, ['x'], {})\n"
            "attempt(os.open, 'f2', os.O_RDONLY, dir_fd=d)\n",
        ]
    )  # fmt: skip
    assert found.status == 0, found.err
    at = str(tmp_path)

    def told(name):
        return [targets(e) for e in found.named(name) if e.stack and e.stack[0].file == "<string>"]

    write = "write"
    assert told("os.mkdir") == [
        ((write, f"{at}/d/made"),), ((write, f"{at}/e/made"),), ((write, None),), ((write, None),),
    ]  # fmt: skip
    assert told("os.rmdir")[0] == ((write, f"{at}/d/made"),)
    assert told("os.remove") == [((write, f"{at}/d/gone"),)]
    assert told("os.rename")[:3] == [
        ((write, f"{at}/d/g"), (write, f"{at}/d/f")),
        ((write, f"{at}/d/f"), (write, None)),  # two directories, one is told
        ((write, f"{at}/f2"), (write, None)),
    ]
    assert told("os.truncate") == [((write, f"{at}/f2"),)]
    assert told("os.chmod") == told("os.utime") == told("os.truncate")
    assert told("os.listdir") == [(("list", f"{at}/d"),), (("list", at),)]
    assert told("os.scandir") == [(("list", f"{at}/d"),)]
    assert told("os.exec") == [(("run", f"{at}/f2"),)]
    untold = [e for e in found.named("open") if e.args[0] == "f2"]
    assert [(e.target, e.cwd) for e in untold] == [(None, None)]


def test_what_links_lead_to_is_told_where_asked_for(run_code, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "dir").symlink_to("real")
    (tmp_path / "link").symlink_to(tmp_path / "dir" / "file")
    source = (
        TRY + f"os.chdir({str(tmp_path)!r})\n"
        "open('link', 'r+').close(); open('real/file').close(); attempt(open, 'dir/new/x')\n"
        "open('dir/new', 'w').close(); open('dir/../link').close()\n"
        "os.remove('dir/new'); os.remove('link')\n"
        "attempt(open, '/proc/self/cwd/real/file')\n"
    )
    at = str(tmp_path)
    found = run_code(source, settings="resolve\t1\n")
    assert found.status == 0, found.err
    opened = {e.asked: e for e in found.named("open") if e.stack and e.stack[0].file == "<string>"}
    assert targets(opened["link"]) == (("write", f"{at}/real/file"), ("read", f"{at}/real/file"))
    assert opened["real/file"].target == f"{at}/real/file"
    assert opened["dir/new/x"].target == f"{at}/dir/new/x"  # leads nowhere
    assert opened["dir/new"].target == f"{at}/real/new"
    assert opened["dir/../link"].target == f"{at}/real/file"
    assert opened["/proc/self/cwd/real/file"].target == f"{at}/real/file"
    assert [e.target for e in found.named("os.remove")] == [f"{at}/real/new", f"{at}/link"]


NAMES = ["plain", "é", "\udcff\udc80", "a\nb", "\x1b[31m", "\U0001f600", "x" * 255]


def test_names_survive_exactly(interpreter, record, tmp_path):
    words = [os.fsencode(name) for name in NAMES]
    found = record(
        [
            interpreter, "-I", "-S", "-X", "utf8", "-c",
            "import os\n"
            f"for raw in {words!r}:\n"
            "    name = os.fsdecode(raw)\n"
            "    os.close(os.open(raw, os.O_CREAT | os.O_WRONLY))\n"
            "    os.rename(raw, raw); os.truncate(name, 0); os.remove(name)\n",
        ],
        cwd=tmp_path,
    )  # fmt: skip
    assert found.status == 0, found.err
    assert [e.args[0] for e in found.named("os.rename")] == words
    assert [e.args[0] for e in found.named("os.truncate")] == NAMES
    expected = [f"{tmp_path}/{name}" for name in NAMES]
    assert [e.target for e in found.named("os.remove")] == expected
    assert [e.target for e in found.named("os.rename")] == expected
