"""Metadata filters: one language, whichever way a filter is written (docs/filters.md)."""

from vectorize_core.filters.ast import Expression, Where
from vectorize_core.filters.builders import F

__all__ = ["Expression", "F", "Where"]
