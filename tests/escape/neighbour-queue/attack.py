from arms import P, attempt, call


@attempt
def deed():
    return call("mq_open", f"belljar-n-{P['nonce']}".encode(), 0, 0, None) >= 0
