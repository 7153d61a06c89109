import termios

from arms import any_works, attempt


@attempt
def deed():
    return any_works(
        lambda: termios.tcflow(0, termios.TCION),
        lambda: termios.tcflush(0, termios.TCIFLUSH),
        lambda: termios.tcsetwinsize(0, (1, 1)),
    )
