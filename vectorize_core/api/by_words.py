"""Searches of an engine that has the words of texts, or sparse vectors. Cloudflare has neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vectorize_core import limits
from vectorize_core.api import answers
from vectorize_core.api.operations import Op
from vectorize_core.api.wire import Request
from vectorize_core.errors import VectorizeError
from vectorize_core.models import Filter, QueryResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TextQuery(Op[QueryResult]):
    """The vectors whose texts have words of ``text``, by BM25, with values and whole metadata.

    Texts are those under ``text_key``. Of the vectors that one of ``filters`` matches, in a
    namespace and among ``ids`` unless None. A larger score is better, of the same operation only.
    """

    index: str
    text: str
    text_key: str
    top_k: int = limits.DEFAULT_TOP_K
    filters: tuple[Filter, ...] = ({},)
    namespace: str | None = None
    ids: tuple[str, ...] | None = None

    def request(self) -> Request:
        """Cloudflare has no such call."""
        raise VectorizeError("Vectorize does not search by words: give the store text_index=")

    def read(self, result: Any) -> QueryResult:
        """The matches."""
        return answers.read_query(result, top_k=self.top_k, namespace=self.namespace)
