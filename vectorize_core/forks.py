"""What a forked process finds: locks that are free, what they guard whole, no file of SQLite open.

Of the parent's threads only the one that forks goes on in the child. A lock that another thread
held would stay locked there for ever, and what it guards half changed. So a fork waits until these
locks are free, and holds them while the process is copied.
"""

from __future__ import annotations

# Imported first: their own hooks run after ours then, and ours may wait for threads that use them.
import concurrent.futures.thread  # noqa: F401
import logging
import os
import threading
import time
from typing import Final, Protocol
from weakref import WeakSet

PATIENCE: Final = 20.0
"""Seconds for which a fork waits for the transactions of other threads."""
_MOMENT: Final = 1.0
"""Seconds for which it waits for a lock that is only ever held for a moment."""

_log = logging.getLogger(__name__)


class Transacting(Protocol):
    """What must not be in the middle of a transaction when the process forks."""

    def before_fork(self, patience: float) -> bool:
        """Wait for the end of transactions, and begin none; False if ``patience`` is over."""

    def after_fork(self, held: bool) -> None:
        """In the parent: go on. ``held`` is what `before_fork` has returned."""

    def after_fork_in_child(self, held: bool | None) -> None:
        """In the child: leave what is the parent's. ``held`` is None without `before_fork`."""


class Inheriting(Protocol):
    """What forgets in a child what only threads of the parent do."""

    def after_fork_in_child(self) -> None:
        """Forget it; no other thread runs yet."""


_locks: WeakSet[threading.Lock] = WeakSet()  # type: ignore[type-var, unused-ignore]
_transacting: WeakSet[Transacting] = WeakSet()
_inheriting: WeakSet[Inheriting] = WeakSet()
_registering = threading.Lock()
_taken: list[threading.Lock] = []
_held: dict[int, bool] = {}


def lock() -> threading.Lock:
    """A lock that is free in a forked process, for what takes a moment and needs no other lock."""
    made = threading.Lock()
    with _registering:
        _locks.add(made)
    return made


def watch(each: Transacting) -> None:
    """Call the methods of ``each`` around every fork, as long as it exists."""
    with _registering:
        _transacting.add(each)


def inherit(each: Inheriting) -> None:
    """Call ``after_fork_in_child`` of ``each`` in every forked process, as long as it exists."""
    with _registering:
        _inheriting.add(each)


def _before() -> None:
    with _registering:
        transacting, locks = list(_transacting), list(_locks)
    end = time.monotonic() + PATIENCE
    # First these: a thread may need one of the locks to end its transaction.
    for each in transacting:
        _held[id(each)] = each.before_fork(max(0.0, end - time.monotonic()))
    _taken.extend(lock for lock in locks if lock.acquire(timeout=_MOMENT))
    _registering.acquire()


def _after_in_parent() -> None:
    _registering.release()
    while _taken:
        _taken.pop().release()
    for each in list(_transacting):
        held = _held.pop(id(each), None)
        if held is not None:
            each.after_fork(held)
    _held.clear()


def _after_in_child() -> None:
    if _registering.locked():
        _registering.release()
    _taken.clear()
    for lock in list(_locks):
        # Held by the hook above, or by a thread that does not exist here.
        if lock.locked():
            lock.release()
    for each in list(_transacting):
        each.after_fork_in_child(_held.pop(id(each), None))
    _held.clear()
    for one in list(_inheriting):
        one.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
