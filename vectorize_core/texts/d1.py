"""Texts in a table of a Cloudflare D1 database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

from vectorize_core import jsontext
from vectorize_core.api.d1 import (
    BOUND,
    MAX_PARAMETERS,
    MAX_VALUE_BYTES,
    ReadD1,
    Rows,
    Statement,
    WriteD1,
    is_missing_table,
    quoted,
)
from vectorize_core.client import AsyncVectorizeClient, VectorizeClient, over
from vectorize_core.connection import d1_connection
from vectorize_core.errors import ApiError, BadRequestError, UnexpectedAnswerError, shown
from vectorize_core.kwargs import checks_keywords
from vectorize_core.texts.store import TextStore, parts
from vectorize_core.transport.io import Io, each, run
from vectorize_core.transport.workers import aclosing

_ROWS: Final = MAX_PARAMETERS // 2
_REQUEST_BYTES: Final = 4_000_000
_CONCURRENCY: Final = 4
_TOO_LARGE: Final = 413
_MERGED: Final = (
    "CASE WHEN json_valid(text) THEN json_patch(text, excluded.text) ELSE excluded.text END"
)
"""A list that is there with a change of it, whatever others have done since it was read."""
_EMPTY: Final = "NOT EXISTS (SELECT 1 FROM json_each(text) WHERE type <> 'null')"


@checks_keywords()
class D1Texts(TextStore):
    """Texts in the table ``table`` of a D1 database, over the REST API.

    The table is named after the index unless said otherwise, is made by the first write, and has
    the columns that langchain-cloudflare gives it: texts that it keeps there are read as well. The
    store's own client is used, whose token then needs D1 permissions too, or ``client``. Retries
    and the rate limit are those of the client.
    """

    max_bytes = MAX_VALUE_BYTES - 1_000
    """What D1 allows in a row, less the name."""
    plain_ids = True

    def __init__(
        self,
        database_id: str,
        *,
        table: str | None = None,
        client: VectorizeClient | AsyncVectorizeClient | None = None,
    ) -> None:
        self._database = database_id
        self._table = table
        self._client = client

    @classmethod
    def from_binding(cls, binding: Any, *, table: str | None = None) -> Self:
        """Texts in the D1 database of a Worker's binding, such as ``env.DB``; async only."""
        return cls(BOUND, table=table, client=over(AsyncVectorizeClient, d1_connection(binding)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r})"

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        """The texts of these names, a hundred a query, or fewer if their texts are too large."""
        rows = await self._rows(io, index, names, ("id", "text"))
        # What is no text, in a table that others may write to, is as good as missing.
        return {name: text for name, text in rows if isinstance(text, str)}

    async def get_plain(
        self, io: Io, index: str, ids: Mapping[str, str | None], /
    ) -> dict[str, str]:
        """The texts of these ids, but for those of rows with another namespace than theirs."""
        rows = await self._rows(io, index, [*ids], ("id", "text", "namespace"))
        return {
            vector_id: text
            for vector_id, text, of in rows
            if isinstance(text, str) and (not of or ids[vector_id] in (None, of))
        }

    async def _rows(
        self, io: Io, index: str, names: Sequence[str], columns: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        shown = ", ".join(columns)

        async def ask(some: Sequence[str]) -> Rows:
            marks = ", ".join("?" * len(some))
            sql = f"SELECT {shown} FROM {self._name(index)} WHERE id IN ({marks})"  # noqa: S608
            try:
                (rows,) = await call_d1(
                    io, self._client, ReadD1(self._database, ((sql, tuple(some)),))
                )
            except ApiError as error:
                if error.status != _TOO_LARGE or len(some) == 1:
                    raise
                half = len(some) // 2
                return [*await ask(some[:half]), *await ask(some[half:])]
            return rows

        asked = list(parts(names, MAX_PARAMETERS))
        limit = max(min(_CONCURRENCY, len(asked)), 1)
        found: list[tuple[Any, ...]] = []
        try:
            async with aclosing(io.map(ask, each(asked), limit=limit)) as outcomes:
                async for done in outcomes:
                    found += _checked(self._database, done.result(), done.item, len(columns))
        except BadRequestError as error:
            if not is_missing_table(error):
                raise
        return found

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts, some at a time; the table is made if it is not there."""
        await self.put_listed(io, index, texts, {})

    async def put_listed(
        self,
        io: Io,
        index: str,
        texts: Mapping[str, str],
        lists: Mapping[str, Mapping[str, float | None]],
        /,
    ) -> None:
        """Change lists where they are, as D1 merges JSON, and write texts, some at a time."""
        changes = {name: jsontext.dumps(change).decode() for name, change in lists.items()}
        for some in _by_size({**changes, **texts}):
            of_lists = [(name, text) for name, text in some if name in lists]
            of_texts = [(name, text) for name, text in some if name not in lists]
            statements = [
                *self._upserts(index, of_lists, _MERGED),
                *self._upserts(index, of_texts, "excluded.text"),
            ]
            # Only a change that takes something out leaves a list empty.
            shorter = [name for name, _ in of_lists if None in lists[name].values()]
            if shorter:
                marks = ", ".join("?" * len(shorter))
                empty = f"DELETE FROM {self._name(index)} WHERE id IN ({marks}) AND {_EMPTY}"  # noqa: S608
                statements.append((empty, tuple(shorter)))
            try:
                await self._write(io, *statements)
            except BadRequestError as error:
                if not is_missing_table(error):
                    raise
                await self._write(io, (self._creation(index), ()))
                await self._write(io, *statements)

    def _upserts(
        self, index: str, rows: Sequence[tuple[str, str]], new: str
    ) -> Iterator[Statement]:
        if rows:
            marks = ", ".join(["(?, ?)"] * len(rows))
            sql = (
                f"INSERT INTO {self._name(index)} (id, text) VALUES {marks} "  # noqa: S608
                f"ON CONFLICT (id) DO UPDATE SET text = {new}"
            )
            yield sql, tuple(value for row in rows for value in row)

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete the texts of these names, a hundred a query."""
        try:
            for some in parts(names, MAX_PARAMETERS):
                marks = ", ".join("?" * len(some))
                sql = f"DELETE FROM {self._name(index)} WHERE id IN ({marks})"  # noqa: S608
                await self._write(io, (sql, tuple(some)))
        except BadRequestError as error:
            if not is_missing_table(error):
                raise

    async def _write(self, io: Io, *statements: Statement) -> None:
        await call_d1(io, self._client, WriteD1(self._database, statements))

    def _name(self, index: str) -> str:
        return quoted(self._table if self._table is not None else index)

    def _creation(self, index: str) -> str:
        return (
            f"CREATE TABLE IF NOT EXISTS {self._name(index)} "
            "(id TEXT NOT NULL PRIMARY KEY, text TEXT, namespace TEXT, metadata TEXT)"
        )


async def call_d1(
    io: Io, client: VectorizeClient | AsyncVectorizeClient | None, op: ReadD1
) -> tuple[Rows, ...]:
    """The answer of ``op``, by ``client`` if there is one, else by the call's own connection."""
    if client is None:
        return await io.call(op)
    connection = client.connection
    return await io.either(
        lambda: run(connection.io().call(op)), lambda: connection.async_io().call(op)
    )


def _checked(database: str, rows: Rows, asked: Sequence[str], columns: int) -> Rows:
    """The rows of an answer, each of another one of the names that were asked for."""
    left = set(asked)
    for at, row in enumerate(rows):
        name = row[0] if len(row) == columns else None
        if not isinstance(name, str) or name not in left:
            raise UnexpectedAnswerError(
                f"ReadD1({database}): row {at} is {shown(list(row))}, not a text with one of the "
                "names that were asked for, each once"
            )
        left.remove(name)
    return rows


def _by_size(texts: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
    """``texts`` in order, as many together as one request takes."""
    part: list[tuple[str, str]] = []
    size = 0
    for name, text in texts.items():
        added = jsontext.utf8_size(text)
        if part and (len(part) == _ROWS or size + added > _REQUEST_BYTES):
            yield part
            part, size = [], 0
        part.append((name, text))
        size += added
    if part:
        yield part
