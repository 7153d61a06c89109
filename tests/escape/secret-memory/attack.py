from arms import attempt, native


@attempt
def deed():
    return native("syscall", 447, 0) >= 0
