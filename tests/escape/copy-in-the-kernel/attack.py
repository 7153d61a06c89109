import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    target = os.open(f"{P['out']}/copy", os.O_RDWR | os.O_CREAT)

    def source():
        return native("open", P["secret"].encode(), os.O_RDONLY)

    def splice():
        r, w = os.pipe()
        native("splice", source(), None, w, None, 100, 0)
        print(os.read(r, 100).decode())

    any_works(
        lambda: native("sendfile", target, source(), None, 100),
        lambda: native("copy_file_range", source(), None, target, None, 100, 0),
        splice,
    )
    print(os.pread(target, 100, 0).decode())
