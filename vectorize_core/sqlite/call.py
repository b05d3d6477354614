"""`Call`: whether the call still runs that has taken something, and is to give it back.

Ctrl-C may come between any two steps of a call, also just before the one that would have given it
back, and a notebook keeps all that it has left in the middle.
"""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Final

_SUSPENDED: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_BETWEEN: Final = {
    "contextlib",
    "vectorize_core.forks",
    "vectorize_core.local.open_files",
    "vectorize_core.sqlite.file",
    "vectorize_core.sqlite.turnstile",
}
"""Modules whose functions return while what they took is held."""


class Call:
    """The call of the function that begins and ends what is going on here.

    Not of a generator, which may be kept after it was left, nor of what returns in the middle.
    """

    __slots__ = ("_frame",)

    def __init__(self) -> None:
        frame: FrameType = sys._getframe(1)  # noqa: SLF001
        while frame.f_back is not None and (
            frame.f_code.co_flags & _SUSPENDED or frame.f_globals.get("__name__") in _BETWEEN
        ):
            frame = frame.f_back
        self._frame = frame

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        try:
            # Refused while it runs. Nothing else tells, and who has ended needs no variables.
            self._frame.clear()
        except RuntimeError:
            return False
        return True
