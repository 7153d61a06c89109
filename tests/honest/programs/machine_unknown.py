# flags:
# prints: Linux True True
# prints: True True True
# prints: CPython True True
import concurrent.futures
import os
import platform
import sys

print(platform.system(), os.cpu_count() >= 1, len(os.sched_getaffinity(0)) >= 1)
print(bool(platform.platform()), bool(platform.machine()), platform.processor() is not None)
release = [int(part) for part in platform.release().split("-")[0].split(".")[:2]]
with concurrent.futures.ThreadPoolExecutor() as pool:
    sums = list(pool.map(sum, [[1, 2], [3, 4]]))
print(platform.python_implementation(), release > [2, 6], sums == [3, 7] and sys.maxsize > 0)
