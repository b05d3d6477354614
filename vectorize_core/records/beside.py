"""What stands beside the vectors of an embedded Vectorize. No I/O."""

from __future__ import annotations

from vectorize_core.connection import Limits
from vectorize_core.texts.d1 import D1Texts
from vectorize_core.texts.sqlite import SqliteTexts
from vectorize_core.texts.sqlite_index import SqliteTextIndex
from vectorize_core.texts.text_index import TextIndex


class Beside:
    """Long texts, and texts to be found by their words, in a directory or in memory.

    A connection has one, for all its stores: what is in memory is there once. Of Cloudflare's
    limits, those of D1 hold.
    """

    def __init__(self, place: str, limits: Limits | None = None) -> None:
        self.texts = SqliteTexts(place)
        self.text_index = SqliteTextIndex(place)
        if limits is not None:
            self.texts.max_bytes = D1Texts.max_bytes
            self.text_index.max_bytes = TextIndex.max_bytes

    def close(self) -> None:
        """Close both; what was in memory is gone."""
        self.texts.close()
        self.text_index.close()

    def release(self) -> None:
        """Close both until they are needed again; what is in memory stays."""
        self.texts.release()
        self.text_index.release()
