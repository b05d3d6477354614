"""Texts that do not fit into a vector's metadata (docs/long-texts.md). May use client and below."""

from vectorize_core.texts.d1 import D1Texts
from vectorize_core.texts.sqlite import SqliteTexts
from vectorize_core.texts.store import TextStore

__all__ = ["D1Texts", "SqliteTexts", "TextStore"]
