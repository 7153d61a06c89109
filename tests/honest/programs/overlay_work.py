# flags: --quiet --overlay {out}
# args: {out}
# prints: ['b', 'c', 'data.db', 'deep', 'moved', 'new.txt']
# prints: [(1, 'one'), (2, 'two')]
# prints: 100000 bytes, mapped: b'hello'
import mmap
import os
import shutil
import sqlite3
import sys
import tempfile

os.chdir(sys.argv[1])
os.makedirs("deep/er")
with open("a", "w") as file:
    file.write("a")
os.replace("a", "b")
os.link("b", "c")
os.rename("deep", "moved")
os.makedirs("deep")
shutil.copytree("moved", "copied")
shutil.rmtree("copied")
with tempfile.NamedTemporaryFile("wb", dir=".", delete=False) as file:
    file.write(bytes(100000))
os.replace(file.name, "new.txt")
with open("new.txt", "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
    view[:5] = b"hello"
with sqlite3.connect("data.db") as base:
    base.execute("create table t (n integer, name text)")
    base.executemany("insert into t values (?, ?)", [(1, "one"), (2, "two")])
base.close()
print(sorted(os.listdir(".")))
with sqlite3.connect("data.db") as base:
    print(base.execute("select * from t order by n").fetchall())
base.close()
with open("new.txt", "rb") as file:
    print(os.path.getsize("new.txt"), "bytes, mapped:", file.read(5))
