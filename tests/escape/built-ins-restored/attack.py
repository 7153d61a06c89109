import gc

from arms import P, attempt


@attempt
def deed():
    del globals()["__builtins__"]
    space = next(
        one
        for one in gc.get_objects()
        if type(one) is dict and one.get("__name__") == "builtins" and "open" in one
    )
    space["print"](space["open"](P["secret"]).read())
