import subprocess

from arms import P, attempt


@attempt
def deed():
    null = subprocess.DEVNULL
    subprocess.Popen(["/bin/sleep", P["nonce"]], start_new_session=True, stdout=null, stderr=null)
