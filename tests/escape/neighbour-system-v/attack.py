from arms import P, attempt, native


@attempt
def deed():
    return native("shmget", int(P["nonce"]) % 10**9, 0, 0) >= 0
