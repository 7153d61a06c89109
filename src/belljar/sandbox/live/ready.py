"""The ready guests of this process: one pool, ended with it, left to the parent by a fork."""

from __future__ import annotations

import os
import threading

from belljar.sandbox.live.pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.confine.template import Template

_pools: list[Pool] = []
_creating = threading.Lock()
_registered: list[bool] = []


def pool() -> Pool:
    """The one of this process. Raises `OSError` where there is no procfs."""
    with _creating:
        if not _pools:
            _pools.append(Pool())
            if not _registered:
                import atexit

                _registered.append(True)
                atexit.register(_farewell)
                os.register_at_fork(
                    before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child
                )
        return _pools[0]


def drop(warmed: Template) -> None:
    """`Pool.drop`, where there is a pool."""
    for one in list(_pools):
        one.drop(warmed)


def _farewell() -> None:
    for one in list(_pools):
        one.close(for_good=True)


def _before_fork() -> None:
    for one in _pools:
        one.hold()


def _after_fork() -> None:
    for one in _pools:
        one.let_go()


def _in_child() -> None:
    globals()["_creating"] = threading.Lock()  # a thread that is no more may have held it
    while _pools:
        _pools.pop().abandon()
