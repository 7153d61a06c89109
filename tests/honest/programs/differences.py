# flags:
# prints: --- a
# prints: +++ b
# prints: @@ -1,3 +1,4 @@
# prints:  one
# prints: -two
# prints: +2
# prints:  three
# prints: +four
# prints: ['apple', 'ape']
import difflib

a, b = "one\ntwo\nthree\n", "one\n2\nthree\nfour\n"
print("".join(difflib.unified_diff(a.splitlines(True), b.splitlines(True), "a", "b")), end="")
print(difflib.get_close_matches("appel", ["ape", "apple", "peach"]))
