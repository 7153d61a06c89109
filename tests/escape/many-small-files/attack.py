import tempfile

from arms import attempt


@attempt
def deed():
    with tempfile.TemporaryDirectory() as folder:
        for number in range(600):
            with open(f"{folder}/{number}", "wb") as file:
                file.write(b"x" * 600)
    return True
