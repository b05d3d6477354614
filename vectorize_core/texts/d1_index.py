"""A text index in a table of a Cloudflare D1 database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from vectorize_core.api.d1 import BOUND, ReadD1, Rows, Statement, WriteD1, is_missing_table
from vectorize_core.client import AsyncVectorizeClient, VectorizeClient, over
from vectorize_core.connection import d1_connection
from vectorize_core.errors import BadRequestError
from vectorize_core.kwargs import checks_keywords
from vectorize_core.texts.d1 import call_d1
from vectorize_core.texts.text_index import NoTableError, TextIndex, no_fts5
from vectorize_core.texts.tokens import Tokenizer
from vectorize_core.transport.io import Io


@checks_keywords()
class D1TextIndex(TextIndex):
    """A text index in the table ``table`` of a D1 database, over the REST API.

    The table is called after the index unless said otherwise, and is made by the first write. Take
    a database of its own: D1 does not export one that has a table of FTS5. The store's own client
    is used, whose token then needs D1 permissions too, or ``client``. Retries and the rate limit
    are those of the client. A text has at most some 1.8 MB; one of Chinese, Japanese, Korean or
    Thai some 450,000 characters.
    """

    def __init__(
        self,
        database_id: str,
        *,
        table: str | None = None,
        client: VectorizeClient | AsyncVectorizeClient | None = None,
        tokenizer: Tokenizer = "unicode61",
    ) -> None:
        super().__init__(tokenizer=tokenizer)
        self._database = database_id
        self._table = table
        self._client = client

    @classmethod
    def from_binding(
        cls, binding: Any, *, table: str | None = None, tokenizer: Tokenizer = "unicode61"
    ) -> Self:
        """A text index in the D1 database of a Worker's binding, such as ``env.DB``; async only."""
        client = over(AsyncVectorizeClient, d1_connection(binding))
        return cls(BOUND, table=table, client=client, tokenizer=tokenizer)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r})"

    @property
    def settings(self) -> dict[str, str | None] | None:
        """The arguments that make it again; None with a client of its own."""
        if self._client is not None:
            return None
        return {"database_id": self._database, "table": self._table, "tokenizer": self.tokenizer}

    def table(self, index: str) -> str:
        """What the table of an index is called."""
        return super().table(index) if self._table is None else self._table

    async def _read(self, io: Io, statement: Statement, /) -> Rows:
        """The rows of a statement that changes nothing."""
        (rows,) = await self._call(io, ReadD1(self._database, (statement,)))
        return rows

    async def _write(
        self, io: Io, statements: Sequence[Statement], /, *, synced: bool = True
    ) -> None:
        """Carry out statements, all or none."""
        await self._call(io, WriteD1(self._database, tuple(statements)))

    async def _call(self, io: Io, op: ReadD1) -> tuple[Rows, ...]:
        try:
            return await call_d1(io, self._client, op)
        except BadRequestError as error:
            if is_missing_table(error):
                raise NoTableError from error
            if "no such module: fts5" in error.message:
                raise no_fts5(f"the D1 database {self._database!r}") from error
            raise
