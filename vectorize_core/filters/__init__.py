"""One filter language, and what of it the service can do (docs/filters.md).

May use layout and below.
"""

from vectorize_core.filters.ast import Expression, Where
from vectorize_core.filters.builders import F

__all__ = ["Expression", "F", "Where"]
