"""A guest that reads its whole address space by native code finds nothing of the host or of others.

The host is a program whose environment, arguments, paths and values carry marks; so do the data of
two other guests of the same template, of which one has ended. What is searched for must not be
known to the searcher, or it finds itself: it is told the first half of each mark and a hash of the
second. That it finds what is there is tried with marks that it was given.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import belljar

HOST = """
import hashlib, json, os, sys
from pathlib import Path
import belljar

marks = json.loads(sys.stdin.read())
SEARCH = '''
import ctypes, hashlib

libc = ctypes.CDLL(None, use_errno=True)
libc.write.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t

def search(ranges, wanted):
    found, read = set(), 0
    import os
    there, here = os.pipe()
    for start, end in ranges:
        for at in range(start, end, 1 << 22):
            size = min(end - at, (1 << 22) + 64)
            # a page that cannot be read is an error of write(2), not our end
            if libc.write(here, at, 1) != 1:
                continue
            os.read(there, 1)
            data = ctypes.string_at(at, size)
            read += size
            for name, (head, digest) in wanted.items():
                place = data.find(head)
                while place >= 0:
                    rest = data[place + len(head) : place + 2 * len(head)]
                    if hashlib.sha256(rest).digest() == digest:
                        found.add(name)
                    place = data.find(head, place + 1)
    return sorted(found), read
'''

def wanted(names):
    return {
        name: (marks[name][:16].encode(), hashlib.sha256(marks[name][16:].encode()).digest())
        for name in names
    }

def ranges(pid):
    found = []
    for line in open(f"/proc/{pid}/maps"):
        words = line.split()
        if "r" in words[1] and "[v" not in line:  # what the kernel shows of itself
            found.append(tuple(int(word, 16) for word in words[0].split("-")))
    return found

def family(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]

secret = marks["value of the host"].encode() * 3
secrets = [marks["value of the host"]]
given = Path(marks["path of another"])
given.mkdir()
(given / "file").write_text(marks["file of another"])
template = belljar.Template(modules=["ctypes", "hashlib", "json"], setup="x = 1").start()

def other():
    # everything that a guest may be given, with marks
    box = belljar.Sandbox(
        template=template, ledger=marks["path of the record"], read=[given],
        argv=["x", marks["argument of another"]], input=marks["input of another"],
        modules={"m": "x = %r" % marks["module of another"]}, extensions="all",
    )
    box.put(x=marks["value of another"], y={marks["key of another"]: [1]})
    box.share("ask", functions=lambda text: marks["answer to another"])
    text = (given / "file").name
    box.run(
        "import m, sys; a = sys.argv; i = sys.stdin.read(); r = host.ask(%r)\\n"
        "z = %r; f = open(%r).read()" % (
            marks["question of another"], marks["source of another"], str(given.resolve() / text)),
        check=True,
    )
    return box

with other() as ended:
    pass
alive = other()
before = set(family(template.warmed.pid))
own = belljar.Sandbox(template=template, ledger="none", extensions="all")
pid = max(set(family(template.warmed.pid)) - before)
own.run(SEARCH, check=True)
own.put(kept=marks["value of its own"])
own.run("own = %r" % marks["source of its own"], check=True)
found, read = own.call("search", ranges(pid), wanted(marks))
# the others do have what is searched for
alive.run(SEARCH, check=True)
theirs, _ = alive.call("search", ranges(max(
    p for p in before if p in family(template.warmed.pid))), wanted(marks))
own.close()
alive.close()
template.close()
print(json.dumps([found, read, theirs]))
"""
OF_ANOTHER = (
    "value of another", "key of another", "argument of another", "input of another",
    "module of another", "source of another", "file of another", "answer to another",
    "question of another",
)  # fmt: skip


def test_native_code_that_reads_all_its_memory_finds_nothing_of_host_or_other_guests(
    tmp_path: Path,
) -> None:
    names = (
        "variable", "argument", "working directory", "value of the host", "path of the record",
        "path of another", "value of its own", "source of its own", *OF_ANOTHER,
    )  # fmt: skip
    marks = {name: secrets.token_hex(16) for name in names}
    folder = tmp_path / marks["working directory"]
    folder.mkdir()
    code = HOST + f"# {marks['argument']}"
    source = os.path.dirname(os.path.dirname(belljar.__file__))
    environment = {**os.environ, "MARK": marks["variable"], "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, "-c", code, marks["argument"]], cwd=folder, env=environment, text=True,
        input=json.dumps(marks), capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found, read, theirs = json.loads(done.stdout.splitlines()[-1])
    assert read > 1 << 22
    assert set(found) == {"value of its own", "source of its own"}
    # and each of what was not found here lies where it belongs
    assert set(theirs) >= set(OF_ANOTHER)
    assert not set(theirs) & {
        "variable", "argument", "value of the host", "path of the record", "value of its own",
        "source of its own",
    }  # fmt: skip
