import ctypes

from arms import P, attempt, native


@attempt
def deed():
    words = (ctypes.c_char_p * 6)(b"python", b"-I", b"-S", b"-c", b"print('EFFECT')", None)
    native("execv", P["python"].encode(), words)
