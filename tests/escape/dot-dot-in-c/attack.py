from arms import P, attempt, read_native


@attempt
def deed():
    print(read_native(P["data"] + "/deep/../../home/secret.txt"))
