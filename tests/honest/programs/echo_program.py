# flags: --run /bin/echo
# prints: from the program 0
import subprocess

done = subprocess.run(["/bin/echo", "from the program"], capture_output=True, text=True, check=True)
print(done.stdout.strip(), done.returncode)
