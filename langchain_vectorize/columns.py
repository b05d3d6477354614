"""Documents as lists side by side, as `VectorizeVectorStore.get` returns them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypedDict, cast, get_args

from langchain_vectorize.options import Included
from vectorize_core.api.validation import one_of, several
from vectorize_core.layout import text_of
from vectorize_core.models import Values
from vectorize_core.records.reading import Found

DOCUMENTS_AND_METADATAS: Final[tuple[Included, ...]] = ("documents", "metadatas")


class Columns(TypedDict):
    """The ids of documents, and beside them what else was asked for; None is what was not."""

    ids: list[str]
    documents: list[str] | None
    metadatas: list[dict[str, Any]] | None
    embeddings: list[Values] | None


def check_included(include: Iterable[Included]) -> frozenset[Included]:
    """Which lists there are to be."""
    given = list(several("include", include, of="names"))
    for name in given:
        one_of("include", name, get_args(Included))
    return frozenset(given)


def columns(found: Sequence[Found], included: frozenset[Included]) -> Columns:
    """The lists of records that were found."""
    records = [one.record for one in found]
    return {
        "ids": [record.id for record in records],
        "documents": [text_of(r) for r in records] if "documents" in included else None,
        "metadatas": [r.metadata for r in records] if "metadatas" in included else None,
        "embeddings": [cast("Values", one.values) for one in found]
        if "embeddings" in included
        else None,
    }
