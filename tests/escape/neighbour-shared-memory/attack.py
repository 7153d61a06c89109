from arms import P, attempt


@attempt
def deed():
    with open(f"/dev/shm/belljar-{P['nonce']}", "rb") as file:
        return file.read() == b"shared"
