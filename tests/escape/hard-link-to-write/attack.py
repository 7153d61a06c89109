from arms import P, attempt, native


@attempt
def deed():
    native("link", (P["data"] + "/notes.txt").encode(), (P["out"] + "/n").encode())
    open(P["out"] + "/n", "a").write("changed")
    return True
