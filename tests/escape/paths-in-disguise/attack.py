import pathlib

from arms import P, attempt


@attempt
def deed():
    class Path:
        def __init__(self):
            self.asked = 0

        def __fspath__(self):
            self.asked += 1
            return "/dev/null" if self.asked == 1 else P["secret"]

    s = P["secret"]
    for guise in (
        s.encode(),
        "//" + s,
        "/./" + s,
        "/dev/null/../.." + s,
        pathlib.Path(s),
        Path(),
        s + "/.",
        "/box/.." + s,
    ):
        for _ in range(2):
            try:
                with open(guise) as file:
                    print(file.read())
            except OSError as error:
                if error.errno not in (2, 20):
                    raise
