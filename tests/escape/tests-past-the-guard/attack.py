import _imp
import glob
import importlib.machinery
import sys

from arms import attempt


def original(function):
    """What a guard keeps in its closure."""
    for cell in getattr(function, "__closure__", None) or ():
        if getattr(cell.cell_contents, "__name__", "") == "create_dynamic":
            return cell.cell_contents
    return function


@attempt
def deed():
    folder = next(entry for entry in sys.path if entry.endswith("lib-dynload"))
    found = glob.glob(folder + "/_testcapi.*")
    file = found[0] if found else folder + "/_testcapi.so"  # an image leaves it out
    loader = importlib.machinery.ExtensionFileLoader("_testcapi", file)
    spec = importlib.machinery.ModuleSpec("_testcapi", loader, origin=file)
    return bool(original(_imp.create_dynamic)(spec))
