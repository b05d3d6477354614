"""Work for the threads of a pool, where the system may let none begin.

At a limit of the system, and while the interpreter shuts down, a pool raises an error and keeps the
work: its next free thread would do it, after whoever handed it over has gone on without.
"""

from __future__ import annotations

import sys
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

    handled = sys.exception()
    try:
        return submit(take)
    except RuntimeError as error:
        check_interruption(error, handled)
        try:
            left.pop()
        except IndexError:
            # A thread that was busy has it.
            return taken
        return None


def check_interruption(error: RuntimeError, handled: BaseException | None) -> None:
    """Raise the Ctrl-C of which an error has come, where a thread was to begin.

    Python then releases a lock that it has not taken again, whose error hides the Ctrl-C. One that
    was ``handled`` before is another one.
    """
    context = error.__context__
    if isinstance(context, KeyboardInterrupt) and context is not handled:
        raise context.with_traceback(None)
