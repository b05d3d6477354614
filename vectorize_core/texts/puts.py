"""What the ``put`` of a row says: for which text it was put, by which write, and when. Pure.

It is the digest of the text and the token of its batch, which begins with the time.
"""

from __future__ import annotations

import secrets
import time
from typing import Final

from vectorize_core.texts.fts import digest_of

Puts = dict[str, list[str]]
"""The ``put`` of rows, by the ids of their records."""

_IN_PROGRESS: Final = 900.0
"""Seconds in which another process writes the vector of a row that it has put, or never."""
_CLOCK: Final = 12
"""Digits of a token that are its time, in milliseconds."""


def new_token(writer: str) -> str:
    """The token of a batch that is written now."""
    return f"{time.time_ns() // 1_000_000:0{_CLOCK}x}{writer}{secrets.token_hex(4)}"


def is_put_of(put: str, text: str | None) -> bool:
    """Whether a row was put for this very text."""
    return text is not None and put.startswith(f"{digest_of(text)}-")


def same_text(put: str, other: str | None) -> bool:
    """Whether two rows were put for the same text."""
    return other is not None and put.partition("-")[0] == other.partition("-")[0]


def is_put_by(put: str, token: str) -> bool:
    """Whether a row was put under that token."""
    return put.partition("-")[2] == token


def is_old(put: str) -> bool:
    """Whether a row was put so long ago that its write is over."""
    try:
        began = int(put.partition("-")[2][:_CLOCK], 16) / 1_000
    except ValueError:
        return True
    return began <= time.time() - _IN_PROGRESS


def is_written_by(put: str, writer: str) -> bool:
    """Whether a row was put by one of the writes of that writer."""
    return put.partition("-")[2][_CLOCK:].startswith(writer)
