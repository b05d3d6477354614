"""What only the embedded Vectorize can be asked: which vectors a metadata index does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vectorize_core.api import answers
from vectorize_core.api.operations import Op
from vectorize_core.api.wire import Request
from vectorize_core.errors import VectorizeError
from vectorize_core.models import Metadata


@dataclass(frozen=True, slots=True)
class CountUncovered(Op[int]):
    """How many vectors with a property are older than its metadata index.

    Those of one namespace, or of all. Also those whose metadata, as ``lacks`` says, have it where
    no metadata index finds it.
    """

    index: str
    property_name: str
    namespace: str | None = None
    lacks: Callable[[Metadata], bool] | None = None

    def request(self) -> Request:
        """Cloudflare has no such call."""
        raise VectorizeError("only an embedded Vectorize knows what a metadata index covers")

    def read(self, result: Any) -> int:
        """The number."""
        return answers.read_count(result)
