"""Attach the recorder to processes and collect what it sends. `docs/protocol.md` has the frames."""

from __future__ import annotations
