"""LD_PRELOAD without the recorder, PYTHONSTARTUP, a .pth: code where nobody looks."""

import os
import pathlib
import subprocess
import sys

proof = sys.argv[1]
home = pathlib.Path(proof + ".home")
version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
site = home / "lib" / version / "site-packages"
site.mkdir(parents=True)
(site / "planted.pth").write_text(f"import os; os.mkdir({proof!r})\n")
clean = {"PATH": os.environ["PATH"], "LD_PRELOAD": "", "PYTHONUSERBASE": str(home)}
subprocess.run([getattr(sys, "_base_executable", sys.executable), "-c", ""], env=clean, check=True)
