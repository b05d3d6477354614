"""The threads that share the blocks of a search, and let a disk work while a caller goes on.

BLAS's own threads wait for each other by spinning, which makes a search several times slower if
other programs use the processors too. So blocks are small enough for BLAS to use one thread, and
each of our threads takes the next block when it is free.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from vectorize_core.job import Job
from vectorize_core.threads import Threads

T = TypeVar("T")

WORTHWHILE: Final = 5_000_000
"""If more bytes are to be read, other threads are used."""
_MAX_THREADS: Final = 8
# No more jobs wait than there are threads: their calls do them sooner.
_threads: Final = Threads("search", _MAX_THREADS - 1, waiting=_MAX_THREADS - 1)


def share(count: int, work: Callable[[int], None], *, worthwhile: bool) -> None:
    """Call ``work`` with each number below ``count``, in other threads too if ``worthwhile``.

    Numbers are begun in order. An error is raised once all that was begun has ended, but for Ctrl-C
    meanwhile: so ``work`` must change nothing that outlives the call.
    """
    take, others = _divided(count, work, worthwhile=worthwhile)
    try:
        take()
    finally:
        begun = [other for other in others if not other.cancel()]
        for other in begun:
            other.wait()
    for other in begun:
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
    take()
    late = [other for other in others if not other.cancel()]
    # As long as one number takes: a thread that runs has ended then.
    end = time.perf_counter() + (time.perf_counter() - start) * (len(others) + 1) / max(1, count)
    for other in late:
        other.wait(end - time.perf_counter())
    for number in range(count):
        if number not in claims:
            work(number)
    if len(kept) < count:
        # Another thread is about to keep something.
        for other in late:
            other.wait()
    if len(kept) < count:
        for other in late:
            other.result()


def _divided(
    count: int, work: Callable[[int], None], *, worthwhile: bool
) -> tuple[Callable[[], None], list[Job[None]]]:
    """What does the work of numbers that nobody has begun, and other threads that do the same."""
    # The next one is taken in a single step, so no two threads get the same.
    numbers = iter(range(count))

    def take() -> None:
        try:
            for number in numbers:
                work(number)
        except BaseException:
            # Nobody needs the others.
            deque(numbers, maxlen=0)
            raise

    helpers = min(processors(), count) - 1 if worthwhile else 0
    others = [Job(take) for _ in range(helpers)]
    for other in others:
        begin(other)
    return take, others


def begin(job: Job[Any]) -> None:
    """Let another thread do it, if there is one that can before its ``result()`` is asked for."""
    _threads.begin(job)


def stop() -> None:
    """End the threads once they have done what was begun; a later search begins others."""
    _threads.stop()


def processors() -> int:
    """How many processors this process may use."""
    try:
        return min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    except AttributeError:
        return min(_MAX_THREADS, os.cpu_count() or 1)
