from arms import attempt, call


@attempt
def deed():
    return call("keyctl", 0, -3, 1) != 0
