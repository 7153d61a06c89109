"""An abort is an exception, and the program swallows it; then it does the same another way."""

import os
import sys

try:
    open(sys.argv[1], "w").close()
except BaseException:
    os.mkdir(sys.argv[1])
