"""A module that is there already is imported without an event (gh-116840)."""

import posix
import sys

posix.mkdir(sys.argv[1])
