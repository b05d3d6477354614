"""LangChain documents as records, and back. Pure functions."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from itertools import count, repeat, zip_longest
from typing import Any, Final, TypeAlias, TypeVar

from langchain_core.documents import Document
from numpy.typing import ArrayLike
from pydantic import BaseModel

from vectorize_core.api.validation import several, text
from vectorize_core.errors import InvalidFilterError, InvalidInputError, InvalidVectorError, shown
from vectorize_core.filters.ast import Where
from vectorize_core.layout import Record, text_of
from vectorize_core.models import Id
from vectorize_core.records.hit import Hit
from vectorize_core.records.item import Item
from vectorize_core.transport.io import each
from vectorize_core.writes.sources import Records

T = TypeVar("T")
Scored: TypeAlias = list[tuple[Document, float]]
_END: Any = object()
_IN: Final = {"metadatas": "dicts", "documents": "Documents"}
"""What is in a column, if it is not what the column is called."""


def from_texts(
    texts: Records[str],
    metadatas: Records[Mapping[str, Any] | None] | None,
    ids: Records[Id | None] | None,
) -> Records[Item]:
    """Items of texts with their metadata and ids; the result has a length if all arguments have.

    A missing id becomes a new UUID. Arguments of different lengths are an `InvalidInputError`: at
    once if all are sequences, otherwise when the shortest ends.
    """
    _column("texts", texts)
    return _joined({"texts": texts, "metadatas": metadatas, "ids": ids}, _text_item)


def from_embeddings(
    texts: Records[str],
    embeddings: Records[ArrayLike],
    metadatas: Records[Mapping[str, Any] | None] | None,
    ids: Records[Id | None] | None,
) -> Records[Item]:
    """As `from_texts`, with the embedding of each text."""

    def item(
        at: int,
        text: str,
        embedding: ArrayLike,
        metadata: Mapping[str, Any] | None,
        vector_id: Id | None,
    ) -> Item:
        if embedding is None:
            raise InvalidVectorError(
                f"embeddings[{at}] is a list of numbers; got None. add_texts() embeds texts itself"
            )
        found = _text_item(at, text, metadata, vector_id)
        found.values = embedding
        return found

    _column("texts", texts)
    _column("embeddings", embeddings)
    columns = {"texts": texts, "embeddings": embeddings, "metadatas": metadatas, "ids": ids}
    return _joined(columns, item)


def from_documents(documents: Records[Document], ids: Records[Id | None] | None) -> Records[Item]:
    """Items of documents; ``ids`` take precedence over the documents' own."""

    def item(at: int, document: Document, vector_id: Id | None) -> Item:
        if not isinstance(document, Document):
            hint = ". add_texts() takes texts" if isinstance(document, str) else ""
            raise InvalidInputError(f"documents[{at}] is a Document; got {shown(document)}{hint}")
        text(f"documents[{at}].page_content", document.page_content)
        own = document.id if ids is None else vector_id
        name = "documents[{}].metadata"
        return _item(name, at, document.page_content, document.metadata, own)

    _column("documents", documents)
    return _joined({"documents": documents, "ids": ids}, item)


def to_document(record: Record) -> Document:
    """The document of a record; raises `MissingTextError` if it has no text."""
    document = Document.__new__(Document)
    # As its constructor does it, whose levels take longer than the rest.
    fields = {"id": record.id, "page_content": text_of(record), "metadata": record.metadata}
    Document.__pydantic_validator__.validate_python(fields, self_instance=document)
    return document


def scored(hits: Iterable[Hit]) -> Scored:
    """The documents of hits, with their scores."""
    return [(to_document(record), match.score) for record, match in hits]


def bare(found: Scored) -> list[Document]:
    """Documents without their scores."""
    return [document for document, _ in found]


def document_filter(predicate: Callable[[Document], bool]) -> Where:
    """A filter that a function decides, called with each document as the store returns it.

    Raises `InvalidFilterError` for an async function.
    """
    if inspect.iscoroutinefunction(predicate):
        raise InvalidFilterError("a function that filters documents cannot be async")
    name = getattr(predicate, "__qualname__", type(predicate).__qualname__)
    return Where(lambda record: predicate(to_document(record)), f"the function {name}")


def _column(name: str, given: Records[Any]) -> None:
    """Refuse what is no column. A Document alone would be read as a list of its fields."""
    several(name, given, of=_IN.get(name, name), alone=(BaseModel,))


def _joined(columns: Mapping[str, Records[Any] | None], join: Callable[..., T]) -> Records[T]:
    """``join`` of the number of each row of the columns, and of what is in it.

    It gets None for a column that is not given.
    """
    given = {name: column for name, column in columns.items() if column is not None}
    for name, column in given.items():
        _column(name, column)
    lengths = {name: len(column) for name, column in given.items() if isinstance(column, Sized)}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise InvalidInputError(f"{counts}: give as many of each")
    if len(lengths) == len(given):
        return _Rows(join, list(columns.values()), min(lengths.values()))  # type: ignore[arg-type]

    def row(at: int, values: tuple[Any, ...]) -> T:
        ended = [name for name, value in zip(given, values, strict=True) if value is _END]
        if ended:
            raise InvalidInputError(
                f"{', '.join(given)} are of different lengths: {', '.join(ended)} ended after {at}"
            )
        of = dict(zip(given, values, strict=True))
        return join(at, *(of.get(name) for name in columns))

    if any(isinstance(column, AsyncIterable) for column in given.values()):
        return _async_rows(list(given.values()), row)
    return map(row, count(), zip_longest(*given.values(), fillvalue=_END))  # type: ignore[arg-type]


class _Rows(Sized, Iterable[T]):
    """``join`` of each row of columns of one length, made when it is read."""

    def __init__(
        self, join: Callable[..., T], columns: Iterable[Iterable[Any] | None], length: int
    ) -> None:
        self._join = join
        self._columns = columns
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        sides = (repeat(None) if column is None else column for column in self._columns)
        return map(self._join, count(), *sides)


async def _async_rows(
    columns: Sequence[Records[Any]], row: Callable[[int, tuple[Any, ...]], T]
) -> AsyncIterator[T]:
    sources = [aiter(c) if isinstance(c, AsyncIterable) else each(c) for c in columns]
    for at in count():
        values = tuple([await anext(source, _END) for source in sources])
        if all(value is _END for value in values):
            return
        yield row(at, values)


def _text_item(
    at: int, content: str, metadata: Mapping[str, Any] | None, vector_id: Id | None
) -> Item:
    if not isinstance(content, str):
        hint = ". add_documents() takes Documents" if isinstance(content, Document) else ""
        text(f"texts[{at}]", content, hint)
    return _item("metadatas[{}]", at, content, metadata, vector_id)


def _item(
    name: str, at: int, content: str, metadata: Mapping[str, Any] | None, vector_id: Id | None
) -> Item:
    """The item of a text with its metadata, which an error calls ``name`` with the position."""
    # To ask whether a dict is a Mapping takes longer than to copy it.
    if type(metadata) is not dict and not isinstance(metadata, (Mapping, type(None))):
        raise InvalidInputError(f"{name.format(at)} is a dict; got {shown(metadata)}")
    # `as_item` makes a string of it.
    new_id: Any = vector_id if vector_id is not None else str(uuid.uuid4())
    record = Record(new_id, content, dict(metadata) if metadata is not None else {})
    return Item(record, None, vector_id is not None)
