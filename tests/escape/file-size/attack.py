import signal

from arms import P, attempt


@attempt
def deed():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(P["out"] + "/big", "wb") as file:
        for _ in range(40):
            file.write(bytes(1 << 18))
    return True
