"""A module that is there already is imported without an event (gh-116840)."""

import os
import sys

import posix

posix.mkdir(sys.argv[1])
