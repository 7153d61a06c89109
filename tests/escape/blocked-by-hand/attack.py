import sys

from arms import attempt


@attempt
def deed():
    import os

    folder = next(entry for entry in sys.path if os.path.exists(entry + "/os.py"))
    names = {"__name__": "mine"}
    with open(folder + "/colorsys.py") as file:
        exec(file.read(), names)
    module = type(sys)("mine")
    module.__dict__.update(names)
    return module.rgb_to_hsv(0, 0, 1)[2] == 1
