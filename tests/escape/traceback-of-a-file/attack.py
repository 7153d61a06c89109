import linecache
import traceback

from arms import P, attempt


@attempt
def deed():
    try:
        exec(compile("1 / 0", P["secret"], "exec"))
    except ZeroDivisionError:
        print(traceback.format_exc())
    print(linecache.getline(P["secret"], 1))
