from arms import P, attempt, native


@attempt
def deed():
    native("renameat2", -100, (P["data"] + "/deep").encode(), -100, (P["out"]).encode(), 2)
