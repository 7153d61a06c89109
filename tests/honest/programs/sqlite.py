# flags: --read {out} --write {out}
# args: {out}
# prints: 55
# prints: 55
# prints: 55 delete
# prints: wal 55
import os
import sqlite3
import sys
import tempfile

for place in (
    ":memory:",
    os.path.join(tempfile.mkdtemp(), "a.db"),
    os.path.join(sys.argv[1], "b.db"),
):
    base = sqlite3.connect(place)
    with base:
        base.execute("create table t (n)")
        base.executemany("insert into t values (?)", ((n,) for n in range(11)))
    print(
        *base.execute("select sum(n) from t").fetchone(),
        *(base.execute("pragma journal_mode").fetchone() if "b.db" in place else ()),
    )
    base.close()
base = sqlite3.connect(os.path.join(sys.argv[1], "b.db"))
print(
    *base.execute("pragma journal_mode=wal").fetchone(),
    *base.execute("select sum(n) from t").fetchone(),
)
base.close()
