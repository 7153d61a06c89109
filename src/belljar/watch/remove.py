"""Removing what a guest left: any tree, however deep."""

from __future__ import annotations

import os
import shutil


def remove_tree(path: str) -> None:
    """Remove `path` and all beneath it, following no link. Raises `OSError` when that fails."""
    try:
        shutil.rmtree(path)
    except RecursionError:  # before 3.13 it recurses; the program of that name does not
        import subprocess

        subprocess.run(["/bin/rm", "-rf", "--", path], check=False, env={})
        if os.path.lexists(path):
            raise OSError(f"{path}: cannot be removed") from None
