from arms import P, attempt, call


@attempt
def deed():
    name = f"belljar-{P['nonce']}".encode()
    fd = call("mq_open", name, 0o102, 0o600, None)
    call("mq_unlink", name)
    return fd >= 0
