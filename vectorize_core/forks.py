"""What a forked process finds: locks that are free, what they guard whole, no file of SQLite open.

Of the parent's threads only the one that forks goes on in the child. A lock that another thread
held would stay locked there for ever, and what it guards half changed. So a fork waits until these
locks are free, and holds them while the process is copied.

Python ignores what Ctrl-C raises in a hook, forks, and calls the next one. So each of ours is there
twice, and the second one does what the first one has left.
"""

from __future__ import annotations

# Imported first: their own hooks run after ours then, and ours may wait for threads that use them.
import concurrent.futures.thread  # noqa: F401
import logging
import os
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from operator import methodcaller
from typing import Final, Protocol, TypeAlias
from weakref import WeakSet

PATIENCE: Final = 20.0
"""Seconds for which a fork waits for the transactions of other threads."""
_MOMENT: Final = 1.0
"""Seconds for which it waits for a lock that is only ever held for a moment."""

_log = logging.getLogger(__name__)
Lock: TypeAlias = AbstractContextManager[bool]


class Fork:
    """A fork on its way, which holds locks as calls do (`vectorize_core.holds.Holder`)."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.end = time.monotonic() + PATIENCE
        self.transacting: list[Transacting] = []
        self.taken: list[Lock | None] = [None]

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return _forking.get(self.thread) is not self

    def take(self, locks: list[Lock]) -> None:
        """Take those that are free within a moment."""
        # All of it C's own: Ctrl-C comes between none that is taken and its place in the list.
        self.taken.extend(filter(methodcaller("acquire", timeout=_MOMENT), locks))

    def release(self) -> None:
        """Release what was taken."""
        if self.taken:
            deque(map(methodcaller("release"), iter(self.taken.pop, None)), 0)


class Transacting(Protocol):
    """What must not be in the middle of a transaction when the process forks.

    Each may be called again, with the same ``fork``, where Ctrl-C has interrupted it.
    """

    def before_fork(self, fork: Fork, patience: float) -> None:
        """Wait for the end of transactions, and begin none; give up after ``patience``."""

    def after_fork(self, fork: Fork) -> None:
        """In the parent: go on."""

    def after_fork_in_child(self, fork: Fork | None) -> None:
        """In the child: leave what is the parent's. ``fork`` is None if Python was not told."""


class Inheriting(Protocol):
    """What forgets in a child what only threads of the parent do."""

    def after_fork_in_child(self) -> None:
        """Forget it; no other thread runs yet. It may be called again."""


_locks: WeakSet[Lock] = WeakSet()
_transacting: WeakSet[Transacting] = WeakSet()
_inheriting: WeakSet[Inheriting] = WeakSet()
_registering = threading.RLock()
_forking: dict[int, Fork] = {}
"""By the thread that forks."""


def lock() -> Lock:
    """A lock that is free in a forked process, for what takes a moment and needs no other lock.

    A signal's handler in the middle of that may take it, too.
    """
    made = threading.RLock()
    with _registering:
        _locks.add(made)
    return made


def held_here() -> bool:
    """Whether this thread is in the middle of what takes one of these locks, as a handler's is."""
    with _registering:
        return any(lock._is_owned() for lock in _locks)  # type: ignore[attr-defined]  # noqa: SLF001


def watch(each: Transacting) -> None:
    """Call the methods of ``each`` around every fork, as long as it exists."""
    with _registering:
        _transacting.add(each)


def inherit(each: Inheriting) -> None:
    """Call ``after_fork_in_child`` of ``each`` in every forked process, as long as it exists."""
    with _registering:
        _inheriting.add(each)


def _before() -> None:
    thread = threading.get_ident()
    if thread not in _forking:
        _forking[thread] = Fork()
    fork = _forking[thread]
    if _registering in fork.taken:
        return
    with _registering:
        fork.transacting, locks = list(_transacting), list(_locks)
    # First these: a thread may need one of the locks to end its transaction.
    for each in fork.transacting:
        each.before_fork(fork, max(0.0, fork.end - time.monotonic()))
    # The last one: nothing is registered any more until the fork.
    fork.take([lock for lock in (*locks, _registering) if lock not in fork.taken])


def _after_in_parent() -> None:
    fork = _forking.get(threading.get_ident())
    if fork is None:
        return
    fork.release()
    for each in fork.transacting:
        each.after_fork(fork)
    _forking.pop(fork.thread, None)


def _after_in_child() -> None:
    fork = _forking.get(threading.get_ident())
    # Held by the hook above, or by a thread that does not exist here.
    for lock in (_registering, *_locks):
        # As Python does itself.
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
    for each in list(_transacting):
        each.after_fork_in_child(fork)
    for one in list(_inheriting):
        one.after_fork_in_child()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    for _ in range(2):
        os.register_at_fork(
            before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
        )
