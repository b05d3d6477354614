"""What only the embedded Vectorize can be asked: which ids it has, of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vectorize_core.api.operations import Op
from vectorize_core.api.wire import Request
from vectorize_core.errors import VectorizeError


@dataclass(frozen=True, slots=True)
class KnownIds(Op[frozenset[str]]):
    """Those of some ids that vectors have, or mutations that are accepted but not visible yet."""

    index: str
    ids: tuple[str, ...]

    def request(self) -> Request:
        """Cloudflare has no such call."""
        raise VectorizeError(
            "only an embedded Vectorize tells which ids it has without reading them"
        )

    def read(self, result: Any) -> frozenset[str]:
        """The ids."""
        return frozenset(result)
