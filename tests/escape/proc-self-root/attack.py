import os

from arms import P, any_works, attempt, read_native


@attempt
def deed():
    os.chdir(P["data"])
    any_works(
        lambda: print(read_native("/proc/self/root" + P["secret"])),
        lambda: print(read_native("/proc/thread-self/root" + P["secret"])),
        lambda: print(read_native("/proc/self/cwd/../home/secret.txt")),
        lambda: print(read_native(f"/proc/{P['near']}/root" + P["secret"])),
        lambda: print(read_native(f"/proc/{os.getppid()}/root" + P["secret"])),
    )
