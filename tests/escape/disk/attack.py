import tempfile

from arms import attempt


@attempt
def deed():
    folder = tempfile.mkdtemp()
    for n in range(40):
        with open(f"{folder}/{n}", "wb") as file:
            file.write(bytes(1 << 18))
    return True
