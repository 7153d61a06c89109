# flags: --run /bin/sh --run /bin/cat --run /usr/bin/wc --run /usr/bin/tr
# prints: HELLO
# prints: 3 0
import subprocess

print(subprocess.check_output("echo hello | tr a-z A-Z", shell=True, text=True).strip())
first = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
second = subprocess.Popen(["wc", "-l"], stdin=first.stdout, stdout=subprocess.PIPE, text=True)
first.stdin.write(b"a\nb\nc\n")
first.stdin.close()
print(second.communicate()[0].strip(), first.wait())
