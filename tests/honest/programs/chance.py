# flags:
# prints: 4 32 True True
import os
import random
import secrets
import ssl
import uuid

random.seed(7)
first = random.random()
random.seed(7)
print(
    uuid.uuid4().version,
    len(secrets.token_hex(16)),
    first == random.random(),
    len({os.urandom(8), ssl.RAND_bytes(8), secrets.token_bytes(8)}) == 3,
)
