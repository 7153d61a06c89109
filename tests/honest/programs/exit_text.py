# flags:
# status: 1
# prints:
import sys

sys.exit("a reason")
