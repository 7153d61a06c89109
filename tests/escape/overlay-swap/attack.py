import os

from arms import P, attempt


@attempt
def deed():
    # the layers' own names, the directory above the mount, a link in place of a directory
    for path in ("/belljar/layers/0/lower", "/belljar/layers/0/data/upper", "/belljar/layers"):
        if os.path.exists(path):
            print("EFFECT")
    try:
        os.rename(P["data"], P["data"] + "-moved")
        os.rename(P["data"] + "-moved", P["data"])
    except OSError:
        pass
    try:
        os.symlink(P["home"], P["data"] + "/door")
        print(open(P["data"] + "/door/secret.txt").read())
    except OSError as error:
        raise PermissionError(13, "behind the link") from error
