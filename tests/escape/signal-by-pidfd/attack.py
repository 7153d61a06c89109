from arms import P, attempt, call


@attempt
def deed():
    call("pidfd_send_signal", call("pidfd_open", P["pid"], 0), 9, 0, 0)
