"""`/dev/shm` in a guest: private, bounded, enough for `multiprocessing`."""

from __future__ import annotations

import json
import os

from tiers import Tier

GUEST = """
import errno, json, os
from multiprocessing import shared_memory

said = {}
try:
    one = shared_memory.SharedMemory(create=True, size=4096)
    one.buf[0] = 7
    two = shared_memory.SharedMemory(one.name)
    said["shared"] = two.buf[0]
    two.close()
    one.close()
    one.unlink()
except OSError as error:
    said["shared"] = type(error).__name__
big = 0
try:
    with open("/dev/shm/belljar-test-big", "wb", buffering=0) as file:
        for _ in range(24):
            big += file.write(bytes(1 << 20))
except OSError as error:
    said["big"] = errno.errorcode[error.errno]
said["room"] = big >> 20
said["names"] = os.path.exists("/dev/shm/" + {name!r})
print(json.dumps(said))
"""


def test_shared_memory_is_the_guests_own_and_bounded(tier: Tier) -> None:
    name = next(iter(os.listdir("/dev/shm")), "no-such")
    isolated = tier.name in ("root", "user")
    words = ["--processes", "4"] if isolated else []
    process = tier.start(
        "run", *words, "--disk", "8MiB", "--quiet", "-c", GUEST.replace("{name!r}", repr(name))
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    said = json.loads(out)
    if not isolated:
        assert (said["room"], said["big"]) == (0, "ENOENT")
        assert said["shared"] in ("FileNotFoundError", "PermissionError")
    else:
        assert said == {"shared": 7, "big": said["big"], "room": said["room"], "names": False}
        assert said["big"] in ("ENOSPC", "EFBIG")
        assert said["room"] <= 8
    assert not os.path.exists("/dev/shm/belljar-test-big")
