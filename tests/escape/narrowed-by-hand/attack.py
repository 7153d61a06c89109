import os
import sys

from arms import P, attempt


class Text(str):
    pass


class Odd(bytes):
    pass


def words(*each):
    return b"".join(word.encode() + b"\0" for word in each)


@attempt
def deed():
    told = ("kept", "how")
    for data in (
        b"", b"\0", b"land", words("land"), words("land", "/"), words("land", "/", "?"), None, 7,
        words("limit", "data", "9" * 40, "x"), words("keeps", "ff"), Odd(words("land", "/", "r")),
        words("refuse", "all"), words("limit", "data", ""), words("land", "/none", "r"),
        words(*["limit", "data", "1"] * 99), words("soft", "/", "rlwxpit", "land", P["home"], "r"),
    ):  # fmt: skip
        for about in (told, None, (Text("kept"), "how"), ("kept",), ("kept", b"how"), [*told]):
            try:
                sys.audit("belljar.layer", data, about)
            except OSError:
                continue
    for _ in range(20):  # what is well formed and allows all
        try:
            sys.audit("belljar.layer", words("land", "/", "rlwxpit"), told)
        except OSError:
            break
    print(open(P["secret"]).read())
    return os.getpid()
