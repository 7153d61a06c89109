import os
import sysconfig

from arms import P, attempt, native


@attempt
def deed():
    name = f"belljar-test-{P['nonce']}.py"
    worked = False
    for place in (os.path.dirname(os.__file__), sysconfig.get_path("purelib")):
        try:
            os.close(native("open", f"{place}/{name}".encode(), os.O_WRONLY | os.O_CREAT, 0o600))
            os.remove(f"{place}/{name}")
            worked = True
        except OSError as error:
            print(error.errno)
    return worked
