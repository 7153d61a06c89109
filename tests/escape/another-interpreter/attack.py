import sys

from arms import P, attempt

CODE = f"print(open({P['secret']!r}).read(), flush=True)"


@attempt
def deed():
    if sys.version_info >= (3, 13):
        import _interpreters as several
    else:
        import _xxsubinterpreters as several
    several.run_string(several.create(), CODE)
