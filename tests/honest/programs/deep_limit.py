# flags:
# prints: 12502500
import sys
import threading

sys.setrecursionlimit(20000)
threading.stack_size(64 << 20)


def total(n):
    return n and n + total(n - 1)


thread = threading.Thread(target=lambda: print(total(5000)))
thread.start()
thread.join()
