from arms import P, attempt, native


@attempt
def deed():
    native("rename", (P["data"] + "/notes.txt").encode(), (P["out"] + "/n").encode())
