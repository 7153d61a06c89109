# flags:
# prints: inside gone 9
import os
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "a"
    path.write_text("inside")
    text = path.read_text()
state = "kept" if os.path.exists(folder) else "gone"
with (
    tempfile.NamedTemporaryFile() as named,
    tempfile.TemporaryFile() as nameless,
    tempfile.SpooledTemporaryFile(4) as spool,
):
    named.write(b"abc"), nameless.write(b"abc"), spool.write(b"abcdef")
    named.flush()
    size = os.path.getsize(named.name) + spool.tell()
print(text, state, size)
