# flags: --read {out} --write {out}
# args: {out}
# prints: {b'a': b'1'}
# prints: [1, 2, 3]
import dbm.dumb
import shelve
import sys

with dbm.dumb.open(f"{sys.argv[1]}/plain", "c") as base:
    base["a"] = "1"
    print(dict(base))
with shelve.Shelf(dbm.dumb.open(f"{sys.argv[1]}/shelf", "c"), writeback=True) as shelf:
    shelf["list"] = [1, 2]
    shelf["list"].append(3)
with shelve.Shelf(dbm.dumb.open(f"{sys.argv[1]}/shelf", "r")) as shelf:
    print(shelf["list"])
