import os

from arms import P, any_works, attempt, native


@attempt
def deed():
    path = f"{P['data']}/notes.txt".encode()
    any_works(
        lambda: native("truncate", path, 1),
        lambda: native("open", path, os.O_RDONLY | os.O_TRUNC),
        lambda: native("creat", path, 0o644),
    )
