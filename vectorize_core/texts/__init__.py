"""Texts beside the vectors: those too long for metadata (docs/long-texts.md), and what finds all by
their words (docs/hybrid.md). May use client and below.
"""

from vectorize_core.texts.d1 import D1Texts
from vectorize_core.texts.d1_index import D1TextIndex
from vectorize_core.texts.sqlite import SqliteTexts
from vectorize_core.texts.sqlite_index import SqliteTextIndex
from vectorize_core.texts.store import TextStore
from vectorize_core.texts.text_explanation import TextExplanation
from vectorize_core.texts.text_index import TextIndex

__all__ = [
    "D1TextIndex",
    "D1Texts",
    "SqliteTextIndex",
    "SqliteTexts",
    "TextExplanation",
    "TextIndex",
    "TextStore",
]
