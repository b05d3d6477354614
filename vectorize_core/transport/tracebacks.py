"""Errors without the frames of httpx, whose variables hold the headers of the request."""

from __future__ import annotations

import sys
from collections.abc import Callable
from traceback import walk_tb
from types import TracebackType
from typing import Final

_CARRIERS: Final = frozenset(
    {"anyio", "asyncio", "h11", "h2", "hpack", "httpcore", "httpx", "socksio", "ssl", "trio"}
)
"""Packages that pass on what is sent: as headers, and as bytes."""
_OUR_STREAMS: Final = frozenset(
    f"vectorize_core.transport.{name}"
    for name in (
        "answer_body",
        "deadline",
        "direct_client",
        "http_pool",
        "messages",
        "one_connection",
    )
)
"""What stands between those, or takes an answer from them, and has the same bytes."""


class FramesHidden:
    """Takes the frames of `_CARRIERS` out of what passes through its block, and of its causes.

    pytest and others print the variables of every frame of a traceback. Types, texts and the frames
    of other code, such as a user's transport, stay. ``clean`` takes out of a text what a server
    repeated. An error that was being handled before belongs to the caller and is left as it is.
    """

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        self._clean = clean
        self._before: BaseException | None = None

    def __enter__(self) -> None:
        self._before = sys.exception()

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        before, self._before = self._before, None
        if error is None:
            return
        seen, left = {id(before)}, [error]
        while left:
            one = left.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            one.__traceback__ = _without_carriers(one.__traceback__)
            said = one.args[0] if one.args else None
            if isinstance(said, str) and self._clean(without_value(said)) != said:
                one.args = (self._clean(without_value(said)), *one.args[1:])
            if isinstance(one, BaseExceptionGroup):
                left += one.exceptions
            left += filter(None, (one.__cause__, one.__context__))


def raise_of_handler(error: BaseException) -> None:
    """Raise what a signal's handler has raised of its own in the middle of what became ``error``.

    Such as a `TimeoutError`: it is none of the network's, after which a call is tried again.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    names = [frame.f_globals.get("__name__") for frame, _ in walk_tb(error.__traceback__)]
    if names and str(names[-1]).partition(".")[0] not in _CARRIERS | {"socket", "vectorize_core"}:
        raise error


def without_value(text: str) -> str:
    """What h11 says of a header that cannot be sent, without its value."""
    return text.partition(" b'")[0] if text.startswith("Illegal header value") else text


def _without_carriers(traceback: TracebackType | None) -> TracebackType | None:
    first = kept = _next(traceback)
    while kept is not None:
        kept.tb_next = _next(kept.tb_next)
        kept = kept.tb_next
    return first


def _next(traceback: TracebackType | None) -> TracebackType | None:
    """The first part that is not of a carrier."""
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__"))
        if name.partition(".")[0] not in _CARRIERS and name not in _OUR_STREAMS:
            return traceback
        traceback = traceback.tb_next
    return None
