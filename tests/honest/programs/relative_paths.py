# flags: --read . --write {out}
# args: {out}
# prints: inner data
# prints: 4
import os
import sys

with open("package/data.txt") as file:
    print(file.read())
os.chdir(sys.argv[1])
with open("rel.txt", "w") as file:
    print(file.write("text"))
