# flags: --read {out}/kept.txt --write {out}/kept.txt
# args: {out}
# prints: old
# prints: new
import sys

path = sys.argv[1] + "/kept.txt"
with open(path) as file:
    print(file.read())
with open(path, "w") as file:
    file.write("new")
with open(path) as file:
    print(file.read())
