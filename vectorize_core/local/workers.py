"""A few threads that share the blocks of one search.

BLAS' own threads wait for each other by spinning, which on processors that others use too makes a
search several times slower. So the blocks of a search are small enough for BLAS to stay on one
thread, and whoever is free takes the next one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

WORTHWHILE: Final = 8
"""Blocks from which on it pays to wake another thread."""
_MOST: Final = 8
_pools: dict[int, ThreadPoolExecutor] = {}


def share(count: int, work: Callable[[int], None], *, worthwhile: bool) -> None:
    """``work`` for each number below ``count``, by the caller and, if ``worthwhile``, by others.

    Numbers are begun in order. An error of any is raised when all that was begun has ended.
    """
    helpers = min(_processors(), count) - 1 if worthwhile else 0
    if helpers < 1:
        for number in range(count):
            work(number)
        return
    numbers = itertools.count()

    def take() -> None:
        # One `next` is one step of the interpreter: no two threads get the same number.
        while (number := next(numbers)) < count:
            work(number)

    pool, others = _pool(), list[Future[None]]()
    # Of a pool that is ended meanwhile nothing is needed: the caller does what nobody else does.
    with suppress(RuntimeError):
        for _ in range(helpers):
            others.append(pool.submit(take))
    try:
        take()
    finally:
        for other in others:
            if not other.cancel():
                other.result()


def stop() -> None:
    """End the threads, when they have done what they have begun; a later search makes new ones."""
    pool = _pools.pop(os.getpid(), None)
    if pool is not None:
        pool.shutdown(wait=True)


def _processors() -> int:
    """How many processors this process may use."""
    try:
        return min(_MOST, len(os.sched_getaffinity(0)))
    except AttributeError:
        return min(_MOST, os.cpu_count() or 1)


def _pool() -> ThreadPoolExecutor:
    """The threads of this process, made when first needed, anew after a fork."""
    pool = _pools.get(os.getpid())
    if pool is None:
        made = ThreadPoolExecutor(_MOST - 1, thread_name_prefix="vectorize-search")
        pool = _pools.setdefault(os.getpid(), made)
    return pool
