import os

from arms import attempt


@attempt
def deed():
    return any(
        os.path.exists(p)
        for p in (
            "/proc/self/status",
            "/proc/1",
            "/sys/kernel",
            "/run",
            "/boot",
            "/var/log",
            "/dev/tty",
            "/dev/mem",
            "/dev/kmsg",
        )
    )
