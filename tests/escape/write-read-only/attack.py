from arms import P, attempt


@attempt
def deed():
    open(P["data"] + "/notes.txt", "a").write("changed")
