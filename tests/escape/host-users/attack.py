import pwd

from arms import attempt


@attempt
def deed():
    return any(p.pw_name == "root" for p in pwd.getpwall())
