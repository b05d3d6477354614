"""Options of ``import`` and ``verify`` that say which other store a file is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, cast

import typer

from vectorize_core.models import Metric
from vectorize_core.moving import (
    Foreign,
    read_chroma,
    read_faiss,
    read_pgvector,
    read_pinecone,
    read_qdrant,
    read_qdrant_scroll,
    read_simple_vector_store,
)

_PANEL: Final = "Records of another store"


class Kind(StrEnum):
    """What there is a reader for."""

    CHROMA = "chroma"
    FAISS = "faiss"
    LLAMA_INDEX = "llama-index"
    PGVECTOR = "pgvector"
    PINECONE = "pinecone"
    QDRANT = "qdrant"
    QDRANT_SCROLL = "qdrant-scroll"


From = Annotated[
    Kind | None,
    typer.Option(
        "--from",
        help="FILE is not of this library but what that store left; of pgvector a URL without a "
        "password, which PGPASSWORD has.",
        rich_help_panel=_PANEL,
    ),
]
Collection = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The collection, or the index.", rich_help_panel=_PANEL),
]
Query = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="What to read from pgvector.", rich_help_panel=_PANEL),
]
VectorName = Annotated[
    str | None,
    typer.Option("--vector", metavar="NAME", help="Of named vectors.", rich_help_panel=_PANEL),
]
TextKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Where texts are in a payload.", rich_help_panel=_PANEL),
]
MetricName = Annotated[
    str | None,
    typer.Option(
        "--metric", help="What to compare by instead of its own metric.", rich_help_panel=_PANEL
    ),
]
_READERS: Final[Mapping[Kind, tuple[Callable[..., Foreign], Mapping[str, str]]]] = {
    Kind.CHROMA: (read_chroma, {"collection": "collection"}),
    Kind.FAISS: (read_faiss, {"collection": "name"}),
    Kind.LLAMA_INDEX: (read_simple_vector_store, {"collection": "name"}),
    Kind.PGVECTOR: (read_pgvector, {"query": "query"}),
    Kind.PINECONE: (read_pinecone, {"text-key": "text_key"}),
    Kind.QDRANT: (
        read_qdrant,
        {"collection": "collection", "vector": "vector", "text-key": "text_key"},
    ),
    Kind.QDRANT_SCROLL: (read_qdrant_scroll, {"vector": "vector", "text-key": "text_key"}),
}
"""Each reader, and which of its arguments an option is."""


def source(
    file: str,
    kind: Kind | None,
    collection: str | None,
    query: str | None,
    vector: str | None,
    text_key: str | None,
    metric: str | None,
) -> str | Foreign:
    """The records that ``import`` is to read: a file of ours, or what another store has left."""
    given = {"collection": collection, "query": query, "vector": vector, "text-key": text_key}
    given = {option: value for option, value in given.items() if value is not None}
    read, names = (None, {}) if kind is None else _READERS[kind]
    for option in given | ({} if kind or metric is None else {"metric": metric}):
        if option not in names:
            of = "without --from" if kind is None else f"with --from {kind}"
            raise typer.BadParameter(f"--{option} has no meaning {of}")
    if read is None:
        return file
    if kind is Kind.PGVECTOR and query is None:
        raise typer.BadParameter("--from pgvector needs --query")
    options: dict[str, Any] = {names[option]: value for option, value in given.items()}
    return read(file, **options, metric=cast("Metric | None", metric))
