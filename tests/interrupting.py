"""Ctrl-C at any step of a call at which Python looks for signals."""

from __future__ import annotations

import contextlib
import dis
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import vectorize_core

_PLACES = (str(Path(vectorize_core.__file__).parent), contextlib.__file__, threading.__file__)
_LOOKS = tuple(
    code
    for code, name in enumerate(dis.opname)
    if name.startswith(("CALL", "JUMP_BACKWARD")) and "INTRINSIC" not in name
)
"""Behind these; and where a function begins, or a generator goes on."""


def interrupted(call: Callable[[], object], step: int) -> KeyboardInterrupt | int:
    """The Ctrl-C that has come at a step of ``call``, or how many steps that has.

    Steps of our functions and of Python's context managers count, in this thread.
    """
    steps = 0
    last: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        if event == "call":
            if not frame.f_code.co_filename.startswith(_PLACES):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            looks = True
        elif event == "opcode":
            looks = last.get(frame) in _LOOKS
            last[frame] = frame.f_code.co_code[frame.f_lasti]
        else:
            last.pop(frame, None)
            return trace
        steps += looks
        if looks and steps == step:
            # What is refused as bad input, too, must not hide it.
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt as interruption:
        return interruption
    except Exception:
        if steps < step:
            return steps
        raise
    finally:
        sys.settrace(before)
        last.clear()
    return steps
