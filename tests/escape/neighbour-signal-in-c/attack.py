import signal

from arms import any_works, attempt, call, native, neighbour

signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # inside, a neighbour's number may be one's own


@attempt
def deed():
    pid = neighbour["pid"]
    any_works(
        lambda: native("kill", pid, 10),
        lambda: native("tgkill", pid, pid, 10),
        lambda: call("tkill", pid, 10),
        lambda: call("pidfd_send_signal", call("pidfd_open", pid, 0), 10, 0, 0),
    )
