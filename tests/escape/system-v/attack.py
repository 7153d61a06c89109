from arms import any_works, attempt, native


@attempt
def deed():
    def shared():
        key = native("shmget", 0, 4096, 0o1600)
        native("shmctl", key, 0, None)

    def semaphore():
        native("semctl", native("semget", 0, 1, 0o1600), 0, 0, None)

    def queue():
        native("msgctl", native("msgget", 0, 0o1600), 0, None)

    return any_works(shared, semaphore, queue)
