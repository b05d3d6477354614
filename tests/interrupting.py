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
from tests.nightly import sized

_PLACES = (str(Path(vectorize_core.__file__).parent), contextlib.__file__, threading.__file__)
_LOOKS = tuple(
    code
    for code, name in enumerate(dis.opname)
    if name.startswith(("CALL", "JUMP_BACKWARD")) and "INTRINSIC" not in name
)
"""Behind these; and where a function begins, or a generator goes on."""

_ENDED_ELSEWHERE = sys.version_info < (3, 13)
"""Python 3.12 crashes where the collector, in a thread without a trace, ends a generator that waits
and whose steps are traced; 3.13 would trace no other frame of its code either."""
_SOON = 20.0
"""Seconds; what was left behind is waited for a minute, or for ever."""


def everywhere(
    call: Callable[[], object],
    use: Callable[[], object],
    *,
    day: int,
    night: int = 1,
    after: Callable[[], object] = lambda: None,
) -> None:
    """Interrupt ``call`` at its steps, one of so many by day, and ``use`` what it has left.

    First what came of it is kept, as in a notebook, and with it all that it refers to; ``after``,
    nothing is.
    """
    step = 1
    while isinstance(came := interrupted(call, step), KeyboardInterrupt) or came >= step:
        in_time(use)
        # In this thread, which the call was in, the limit is the test's.
        use()
        del came
        after()
        step += sized(day, night)
    assert step > 1


def in_time(work: Callable[[], object]) -> None:
    """``work`` in a thread, which must end soon."""
    failures = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_SOON)
    assert not thread.is_alive(), "it waits for what was left behind"
    assert failures == []


def interrupted(
    call: Callable[[], object], step: int, handler: Callable[[], object] | None = None
) -> KeyboardInterrupt | int:
    """The Ctrl-C that has come at a step of ``call``, or how many steps that has.

    With a ``handler``, that is called there instead. Steps of our functions and of Python's context
    managers count, in this thread.
    """
    steps = 0
    last: dict[FrameType | None, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        if event == "call":
            # A function of Python's that returns is no such point, only one of C's.
            last.pop(frame.f_back, None)
            if not frame.f_code.co_filename.startswith(_PLACES):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            looks = True
        elif event == "opcode":
            looks = last.get(frame) in _LOOKS
            last[frame] = frame.f_code.co_code[frame.f_lasti]
        else:
            last.pop(frame, None)
            if event == "return" and _ENDED_ELSEWHERE:
                # It may be a generator's, which goes on with another "call".
                frame.f_trace_opcodes = False
            return trace
        steps += looks
        if looks and steps == step and handler is not None:
            handler()
        elif looks and steps == step:
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
        # As it does, or because SQLite has made one of what came in a callback.
        return steps
    finally:
        sys.settrace(before)
        last.clear()
    return steps
