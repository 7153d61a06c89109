# flags: --stdin {data}/lines.txt
# stdin: {data}/lines.txt
# prints: 3 lines, 9 letters
import sys

lines = sys.stdin.read().split()
print(f"{len(lines)} lines, {sum(map(len, lines))} letters")
