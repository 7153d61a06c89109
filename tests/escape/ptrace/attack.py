from arms import P, attempt, call


@attempt
def deed():
    return call("ptrace", 0x4206, P["pid"], 0, 0) == 0
