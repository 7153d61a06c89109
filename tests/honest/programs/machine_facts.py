# flags: --os-info
# prints: Linux True True True
# prints: True True
import os
import platform
import sys

told = platform.uname()
print(told.system, told.release == os.uname().release, told.node == "belljar" or bool(told.node),
      os.cpu_count() == len(os.sched_getaffinity(0)) or os.cpu_count() > 0)  # fmt: skip
print(platform.python_version() == sys.version.split()[0], bool(platform.platform()))
