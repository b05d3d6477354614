"""pgvector: the rows of a query, in any table of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final
from uuid import UUID

import orjson

from vectorize_core.errors import (
    ConfigurationError,
    ConnectionFailedError,
    InvalidInputError,
    InvalidVectorError,
    in_words,
    shown,
)
from vectorize_core.models import Metric
from vectorize_core.moving.foreign.foreign import Foreign, check_metric
from vectorize_core.moving.foreign.llama_nodes import of_metadata
from vectorize_core.records.item import Item
from vectorize_core.secret import Secret

_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "id": ("node_id", "langchain_id", "id", "uuid"),
    "embedding": ("embedding", "values", "vector"),
    "text": ("text", "document", "content", "page_content"),
    "metadata": ("metadata", "metadata_", "cmetadata", "langchain_metadata"),
    "namespace": ("namespace",),
}
"""What each is called here, and in tables of LangChain and LlamaIndex; the first that is there."""
_LEFT_OUT: Final = {"id", "uuid", "collection_id", "custom_id", "text_search_tsv"}
"""Columns of their tables that say nothing of a record, where they are not its id."""
_ROWS: Final = 512


def read_pgvector(
    url: str, query: str = "SELECT * FROM items", *, metric: Metric | None = None
) -> Foreign:
    """The rows of a query of PostgreSQL, each a record; ``url`` is ``postgresql://...``.

    Columns are recognised by their names: an ``id``, an ``embedding``, a ``text``, ``metadata`` in
    JSON, and a ``namespace``, or as LangChain's and LlamaIndex's tables call them. All others are
    metadata. The query runs in a transaction that only reads, and rows are fetched 512 at a time.
    The metric is checked only if it is given. Needs the extra ``pgvector``.
    """
    check_metric(metric)
    if not isinstance(url, str):
        raise InvalidInputError(f"url is a text such as postgresql://...; got {shown(url)}")
    if not isinstance(query, str) or not query.strip():
        raise InvalidInputError(f"query is a statement of SQL; got {shown(query)}")
    return Foreign("the query of PostgreSQL", partial(_records, Secret(url), query), metric)


def _records(url: Secret[str], query: str) -> Iterator[Item]:
    psycopg = _psycopg()
    try:
        with psycopg.connect(url.reveal()) as connection:
            connection.read_only = True
            yield from _rows(connection, query)
    except psycopg.OperationalError as error:
        raise ConnectionFailedError(
            f"PostgreSQL cannot be read: {in_words(error)}", sent=False
        ) from None
    except psycopg.Error as error:
        raise InvalidInputError(f"the query of PostgreSQL failed: {in_words(error)}") from None


def _psycopg() -> Any:
    try:
        return import_module("psycopg")
    except ImportError as error:
        raise ConfigurationError(
            "PostgreSQL is read with psycopg: pip install 'vectorize-stores[pgvector]'"
        ) from error


def _rows(connection: Any, query: str) -> Iterator[Item]:
    with connection.cursor("vectorize_import") as cursor:
        cursor.itersize = _ROWS
        cursor.execute(query.encode())
        columns = [column.name for column in cursor.description or ()]
        places = {
            part: next((columns.index(name) for name in names if name in columns), None)
            for part, names in _NAMES.items()
        }
        for needed in ("id", "embedding"):
            if places[needed] is None:
                raise InvalidInputError(
                    f"the query of PostgreSQL has no column for the {needed}; it has "
                    f"{', '.join(columns)}. Name one: SELECT ... AS {needed}"
                )
        others = {
            name: at
            for at, name in enumerate(columns)
            if at not in places.values() and name not in _LEFT_OUT
        }
        for row in cursor:
            found = {part: None if at is None else row[at] for part, at in places.items()}
            rest = {name: row[at] for name, at in others.items() if row[at] is not None}
            yield _item(found, rest)


def _item(found: Mapping[str, Any], others: dict[str, Any]) -> Item:
    if isinstance(found["id"], bool) or not isinstance(found["id"], (str, int, UUID)):
        raise InvalidVectorError(f"a row of PostgreSQL has the id {shown(found['id'])}")
    record_id, text = str(found["id"]), found["text"]
    where = f"row {record_id!r} of PostgreSQL"
    if text is not None and not isinstance(text, str):
        raise InvalidVectorError(f"{where}: its text is {shown(text)}")
    metadata = found["metadata"]
    if isinstance(metadata, str):
        metadata = _json(metadata, f"{where}: its metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidVectorError(f"{where}: its metadata is {shown(metadata)}, not a JSON object")
    record = of_metadata(record_id, text, {**(metadata or {}), **others})
    return Item(record, _values(found["embedding"], where), namespace=found["namespace"])


def _values(found: Any, where: str) -> Any:
    """The values of a vector, which psycopg reads as a text such as ``[1,2,3]``."""
    if isinstance(found, str) and found.startswith("["):
        return _json(found, f"{where}: its embedding")
    if found is None or isinstance(found, str):
        raise InvalidVectorError(f"{where}: its embedding is {shown(found)}, no vector of numbers")
    return found


def _json(text: str, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidVectorError(f"{what} is no JSON ({error.msg})") from None
