"""The threads that share the blocks of a search, and let a disk work while a caller goes on.

BLAS's own threads wait for each other by spinning, which makes a search several times slower if
other programs use the processors too. So blocks are small enough for BLAS to use one thread, and
each of our threads takes the next block when it is free.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final, TypeVar

from vectorize_core.hand_over import hand_over

T = TypeVar("T")

WORTHWHILE: Final = 5_000_000
"""If more bytes are to be read, other threads are used."""
_MAX_THREADS: Final = 8
_pools: dict[int, ThreadPoolExecutor] = {}


def share(count: int, work: Callable[[int], None], *, worthwhile: bool) -> None:
    """Call ``work`` with each number below ``count``, in other threads too if ``worthwhile``.

    Numbers are begun in order. An error is raised once all that was begun has ended.
    """
    take, others = _divided(count, work, worthwhile=worthwhile)
    try:
        take()
    finally:
        for other in others:
            if not other.cancel():
                other.result()


def collect(
    count: int, compute: Callable[[int], T], keep: Callable[[int, T], None], *, worthwhile: bool
) -> None:
    """`share` ``compute``, and let ``keep`` have each number and what was computed of it, once.

    A thread that is late is not waited for, such as one that the system has stopped to run another
    program: what it computes is computed again. So ``compute`` must change nothing, and what it
    reads must last, for it may go on when this has returned.
    """
    claims: dict[int, object] = {}
    kept: list[int] = []

    def work(number: int) -> None:
        result, claim = compute(number), object()
        # `setdefault` is atomic, so one thread gets it.
        if claims.setdefault(number, claim) is claim:
            keep(number, result)
            kept.append(number)

    take, others = _divided(count, work, worthwhile=worthwhile)
    start = time.perf_counter()
    try:
        take()
    finally:
        late = [other for other in others if not other.cancel()]
    if late:
        # As long as one number takes: a thread that runs has ended then.
        wait(late, (time.perf_counter() - start) * (len(others) + 1) / count)
    for number in range(count):
        if number not in claims:
            work(number)
    if len(kept) < count:
        # Another thread is about to keep something.
        wait(late)
    if len(kept) < count:
        for other in late:
            other.result()


def _divided(
    count: int, work: Callable[[int], None], *, worthwhile: bool
) -> tuple[Callable[[], None], list[Future[None]]]:
    """What does the work of numbers that nobody has begun, and other threads that do the same."""
    numbers = itertools.count()

    def take() -> None:
        # `next` is atomic here, so no two threads get the same number.
        while (number := next(numbers)) < count:
            work(number)

    helpers = min(processors(), count) - 1 if worthwhile else 0
    begun = [begin(take) for _ in range(helpers)]
    # Where there can be no threads, the caller does all of it.
    return take, [other for other in begun if other is not None]


def begin(work: Callable[[], None]) -> Future[None] | None:
    """Let another thread do ``work``; None if there can be none, and nobody does."""
    return hand_over(_pool().submit, work)


@contextmanager
def beside(work: Callable[[], None], *, worthwhile: bool) -> Iterator[None]:
    """Do ``work`` while the block runs, in another thread if ``worthwhile``; else before it.

    The block ends when both have; an error of the work is raised if the block has none.
    """
    begun = begin(work) if worthwhile else None
    if begun is None:
        work()
        yield
        return
    try:
        yield
    except BaseException:
        if not begun.cancel():
            wait([begun])
        raise
    if begun.cancel():
        # All threads were busy.
        work()
    else:
        begun.result()


def stop() -> None:
    """End the threads once they have finished their blocks; a later search makes new ones."""
    pool = _pools.pop(os.getpid(), None)
    if pool is not None:
        pool.shutdown(wait=True)


def processors() -> int:
    """How many processors this process may use."""
    try:
        return min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    except AttributeError:
        return min(_MAX_THREADS, os.cpu_count() or 1)


def _pool() -> ThreadPoolExecutor:
    """The threads of this process, made when first used, and again after a fork."""
    pool = _pools.get(os.getpid())
    if pool is None:
        made = ThreadPoolExecutor(_MAX_THREADS - 1, thread_name_prefix="vectorize-search")
        pool = _pools.setdefault(os.getpid(), made)
    return pool
