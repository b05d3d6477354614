"""What only an embedded Vectorize and LynseDB can be asked: how many writes are not visible yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vectorize_core.api.operations import Op
from vectorize_core.api.wire import Request
from vectorize_core.errors import VectorizeError

_NOBODY: Final = "only an embedded Vectorize and LynseDB tell which writes are pending"


@dataclass(frozen=True, slots=True)
class CountPending(Op[int]):
    """How many mutations of an index reads do not see yet."""

    index: str

    def request(self) -> Request:
        """Cloudflare has no such call."""
        raise VectorizeError(_NOBODY)

    def read(self, result: Any) -> int:
        """How many."""
        raise VectorizeError(_NOBODY)
