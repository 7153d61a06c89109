import os

from arms import P, attempt, native


@attempt
def deed():
    os.write(native("open", P["fifo"].encode(), os.O_WRONLY | os.O_NONBLOCK), P["nonce"].encode())
