"""The catalogue of audit events, and frames of the recorder turned into `Event` values."""

from __future__ import annotations
