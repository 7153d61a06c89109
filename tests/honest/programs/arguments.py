# flags:
# args: -x "two words" ünï
# prints: arguments.py|-x|two words|ünï
# prints: 4
import os
import sys

print(os.path.basename(sys.argv[0]), *sys.argv[1:], sep="|")
print(len(sys.argv))
