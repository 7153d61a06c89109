"""readline's history writes and reads any file, in C (DiceCTF 2024, diligent-auditor)."""

import readline
import sys

readline.add_history("stolen")
readline.write_history_file(sys.argv[1])
