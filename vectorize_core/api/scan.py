"""What only the embedded Vectorize can be asked: the vectors of an index, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from vectorize_core.api.operations import Op
from vectorize_core.api.wire import Request
from vectorize_core.errors import VectorizeError
from vectorize_core.models import Vector

_ONLY_EMBEDDED: Final = "only an embedded Vectorize reads vectors in the order of writing"


class VectorPage(NamedTuple):
    """Some vectors, and where to go on; ``next_cursor`` is None behind the last ones."""

    vectors: tuple[Vector, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ScanVectors(Op[VectorPage]):
    """Those of the next ``count`` vectors that are in a namespace, or all of them.

    In the order in which they were last written, from ``cursor`` on: also what is written
    meanwhile. A cursor lasts until the index is compacted or deleted, in any process.
    """

    index: str
    count: int
    cursor: str | None = None
    namespace: str | None = None

    def request(self) -> Request:
        """Cloudflare has no such call."""
        raise VectorizeError(_ONLY_EMBEDDED)

    def read(self, result: Any) -> VectorPage:
        """The page."""
        raise VectorizeError(_ONLY_EMBEDDED)


@dataclass(frozen=True, slots=True)
class ScanStarts(Op[tuple[str, ...]]):
    """At most ``count`` cursors of `ScanVectors`, spread evenly over all that was ever written."""

    index: str
    count: int

    def request(self) -> Request:
        """Cloudflare has no such call."""
        raise VectorizeError(_ONLY_EMBEDDED)

    def read(self, result: Any) -> tuple[str, ...]:
        """The cursors."""
        raise VectorizeError(_ONLY_EMBEDDED)
