"""Where warnings come from: the line of the user's that called into these packages."""

import sys
from types import FrameType
from typing import Final

_PACKAGES: Final = {"vectorize_core", "langchain_vectorize", "llama_index_vectorize"}


def outside() -> int:
    """The ``stacklevel`` of the frame that called into these packages."""
    level, frame = 0, sys._getframe()  # noqa: SLF001 - nothing else counts frames
    while frame.f_back is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    return level


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PACKAGES
