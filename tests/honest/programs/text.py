# flags:
# prints: ['ab1', 'cd2'] x-y Ünïcode
# prints: wrapped text
import difflib
import re
import string
import textwrap
import unicodedata

print(
    re.findall(r"[a-z]+\d", "ab1 -- cd2"),
    re.sub(r"\s+", "-", "x  y"),
    unicodedata.normalize("NFC", "U\u0308nïcode"),
)
print(textwrap.fill("wrapped text", 20))
assert string.Template("$a").substitute(a=1) == "1" and difflib.get_close_matches(
    "appel", ["apple"]
)
