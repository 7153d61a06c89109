# flags: --run /usr/bin/sort --run /usr/bin/wc --read {data}
# args: {data}
# prints: 4
# prints: ['a', 'b']
import subprocess
import sys

path = f"{sys.argv[1]}/sales.csv"
first = subprocess.Popen(["/usr/bin/sort", "-r", path], stdout=subprocess.PIPE)
second = subprocess.run(["/usr/bin/wc", "-l"], stdin=first.stdout, capture_output=True, text=True)
first.stdout.close()
first.wait()
print(second.stdout.strip())
print(subprocess.check_output(["/usr/bin/sort"], input="b\na\n", text=True).split())
