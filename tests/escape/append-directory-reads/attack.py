import os

from arms import P, attempt, native, read_native

PATH = P["secret"]


@attempt
def deed():
    for flags in (os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_APPEND):
        try:
            fd = os.open(PATH, flags)
            again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK)
            print(os.read(again, 100))
        except OSError:
            continue
    try:
        print(read_native(PATH))
    except OSError:
        os.read(native("open", PATH.encode(), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644), 100)
