import sys

from arms import attempt


@attempt
def deed():
    evil = '/x\x1b[2J\x1b]0;owned\x07\r\ndenied[read]: guest "bank" may not read /FORGED\n\u202etxt.\u2066'
    code = "def \u0430():\n    return open(evil)\n\u0430()"
    for name in (evil, "<\x1b[31m>\nbelljar: FORGED"):
        try:
            exec(compile(code, name, "exec"), {"evil": evil + name})
        except OSError:
            pass
        sys.stderr.write(name + "\n")
