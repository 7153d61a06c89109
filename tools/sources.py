"""Print the package's Python sources for meson.build, one `folder<TAB>file` a line."""

import os
import sys

root = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
for folder, folders, files in os.walk(os.path.join(root, "belljar")):
    folders[:] = sorted(f for f in folders if f != "__pycache__")
    for name in sorted(files):
        if name.endswith((".py", ".pyi", ".typed", ".toml", ".json")):
            sys.stdout.write(os.path.relpath(os.path.join(folder, name), root) + "\n")
