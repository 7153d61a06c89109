from arms import P, attempt, native


@attempt
def deed():
    native("link", P["secret"].encode(), (P["out"] + "/s").encode())
    print(open(P["out"] + "/s").read())
