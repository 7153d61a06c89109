from arms import attempt, call


@attempt
def deed():
    return call("io_uring_setup", 2, bytes(120)) >= 0
