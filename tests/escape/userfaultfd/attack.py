from arms import attempt, call


@attempt
def deed():
    return call("userfaultfd", 1) >= 0
