import sys

from arms import attempt


@attempt
def deed():
    for _ in range(300):
        sys.stdout.write("x" * 10000 + "\n")
    sys.stdout.flush()
    return True
