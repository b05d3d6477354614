"""LangChain documents as records, and back. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from langchain_core.documents import Document

from vectorize_core.errors import InvalidInputError
from vectorize_core.ingest import Item
from vectorize_core.layout import Record, text_of

_END: Any = object()


def from_texts(
    texts: Iterable[str],
    metadatas: Iterable[Mapping[str, Any] | None] | None,
    ids: Iterable[str | None] | None,
) -> Iterable[Item]:
    """Items of texts with their metadata and ids; a list if all that is given has a length.

    A missing id becomes a new UUID. Different lengths are an error: at once where they can be
    known, otherwise when the shorter one ends.
    """
    for name, column in (("texts", texts), ("ids", ids)):
        if isinstance(column, str):
            raise InvalidInputError(f"{name} is an iterable of strings; got one string")
    given = [("texts", texts), ("metadatas", metadatas), ("ids", ids)]
    columns = [(name, column) for name, column in given if column is not None]
    lengths = {name: len(column) for name, column in columns if isinstance(column, Sequence)}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise InvalidInputError(f"{said}: as many as texts are needed")
    items = _items(texts, metadatas, ids)
    return list(items) if len(lengths) == len(columns) else items


def from_documents(
    documents: Iterable[Document], ids: Iterable[str | None] | None
) -> Iterable[Item]:
    """Items of documents; ``ids`` go before the documents' own."""
    if ids is not None:
        documents = documents if isinstance(documents, Sequence) else list(documents)
        texts = [document.page_content for document in documents]
        return from_texts(texts, [document.metadata for document in documents], ids)
    items = (_item(d.page_content, d.metadata, d.id) for d in documents)
    return list(items) if isinstance(documents, Sequence) else items


def to_document(record: Record) -> Document:
    """The document of a record; a record without text is `MissingTextError`."""
    return Document(id=record.id, page_content=text_of(record), metadata=record.metadata)


def _items(
    texts: Iterable[str],
    metadatas: Iterable[Mapping[str, Any] | None] | None,
    ids: Iterable[str | None] | None,
) -> Iterator[Item]:
    columns = [texts, *(column for column in (metadatas, ids) if column is not None)]
    for row in zip_longest(*columns, fillvalue=_END):
        if _END in row:
            raise InvalidInputError("texts, metadatas and ids are of different lengths")
        rest = iter(row[1:])
        metadata = next(rest) if metadatas is not None else None
        yield _item(row[0], metadata, next(rest) if ids is not None else None)


def _item(text: str, metadata: Mapping[str, Any] | None, vector_id: str | None) -> Item:
    if not isinstance(text, str):
        raise InvalidInputError(f"a text is a string; got {type(text).__name__}")
    new_id = vector_id if vector_id is not None else str(uuid.uuid4())
    return Item(Record(new_id, text, dict(metadata) if metadata is not None else {}))
