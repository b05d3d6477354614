"""Work for the threads of a pool, where the system may let none begin.

At a limit of the system, and while the interpreter shuts down, a pool raises an error and keeps the
work: its next free thread would do it, after whoever handed it over has gone on without.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
F = TypeVar("F")


def hand_over(
    submit: Callable[[Callable[[], T]], F], work: Callable[[], T]
) -> F | Future[T] | None:
    """The future of ``work``, which ``submit`` gives to a pool; None if no thread ever does it."""
    left = [work]
    taken: Future[T] = Future()

    def take() -> T:
        mine = left.pop()
        taken.set_running_or_notify_cancel()
        try:
            result = mine()
        except BaseException as error:
            taken.set_exception(error)
            raise
        taken.set_result(result)
        return result

    try:
        return submit(take)
    except RuntimeError:
        try:
            left.pop()
        except IndexError:
            # A thread that was busy has it.
            return taken
        return None
