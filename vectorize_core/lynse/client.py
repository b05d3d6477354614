"""The databases of a LynseDB: `LynseClient` and `AsyncLynseClient`."""

from __future__ import annotations

from typing import TypeVar, Unpack

from vectorize_core.client import AsyncVectorizeClient, IndexClient, VectorizeClient, over
from vectorize_core.connection import Connection
from vectorize_core.errors import ConfigurationError
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.kwargs import checks_keywords
from vectorize_core.lynse import checks
from vectorize_core.lynse.async_collection import AsyncLynseCollection
from vectorize_core.lynse.collection import LynseCollection
from vectorize_core.lynse.connecting import (
    LynseOptions,
    index_connection,
    lynse_connection,
    server_of,
)
from vectorize_core.lynse.database import AsyncLynseDatabase, LynseDatabase
from vectorize_core.lynse.models import ServerInfo
from vectorize_core.lynse.operations import servers
from vectorize_core.lynse.server import Server
from vectorize_core.lynse.words import SparseEmbedding, Words
from vectorize_core.secret import hidden
from vectorize_core.transport.closing import AsyncClosing, SyncClosing
from vectorize_core.transport.io import run


class _Client(IndexClient):
    """What both variants share, construction above all; it does no I/O."""

    def __init__(
        self,
        base_url: str,
        *,
        database: str | None = None,
        api_key: str | None = None,
        text_key: str = "text",
        sparse_embedding: SparseEmbedding | None = None,
        **options: Unpack[LynseOptions],
    ) -> None:
        """A client of the server at ``base_url``, such as http://127.0.0.1:7637.

        The options are those of `LynseOptions`, and mean what they mean for `VectorizeClient`.

        Args:
            base_url: the address of a server, or of the coordinator of a cluster.
            database: the database of `collection`, unless that is given another one.
            api_key: what the server was started with; by default from LYNSE_API_KEY.
            text_key: of the indexes that are created, the property whose words searches find: that
                of the stores.
            sparse_embedding: makes sparse vectors of the texts of such an index, by which words are
                found instead of by BM25: a function of a list of texts that returns two lists, of
                indices and of weights. It belongs to an index, as its metric does.
            options: ``timeout`` is in seconds for a request as a whole, by default 30 for reads, 60
                for writes, 600 for what may take many minutes (indexes, commits, snapshots).

        Raises:
            ConfigurationError: the address, the key or an option cannot be used.
        """
        self._connection = lynse_connection(hidden(base_url), hidden(api_key), **options)
        self._indexes: Connection | None = None
        self._words = Words(text_key, sparse_embedding)
        self._database = None if database is None else checks.name(database, "database")

    @property
    def connection(self) -> Connection:
        """A connection to the indexes of ``database``, as stores use it.

        Raises `ConfigurationError` if the client was given no database.
        """
        if self._indexes is None:
            self._indexes = index_connection(self._connection, self._name(None), self._words)
        return self._indexes

    @property
    def _opened(self) -> list[Connection]:
        # One over the other, unless they come out of a pickle.
        return [one for one in (self._indexes, self._connection) if one is not None]

    @property
    def _server(self) -> Server:
        return server_of(self._connection)

    def _name(self, database: str | None) -> str:
        found = self._database if database is None else database
        if found is None:
            raise ConfigurationError(
                "a collection is in a database: give database= here or to the client"
            )
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address})"


C = TypeVar("C", bound=_Client)


def _over(kind: type[C], client: _Client) -> C:
    other = kind.__new__(kind)
    vars(other).update(vars(client))
    return other


@checks_keywords()
class LynseClient(_Client, SyncClosing):
    """The databases of a LynseDB. Thread-safe; one pooled HTTP client.

    Example:
        >>> client = LynseClient("http://127.0.0.1:7637", database="app")
        >>> client.collection("items")
        LynseCollection('app', 'items')
    """

    def database(self, name: str) -> LynseDatabase:
        """A database; sends nothing."""
        return LynseDatabase(self._connection, name)

    def collection(self, name: str, *, database: str | None = None) -> LynseCollection:
        """A collection to read and write; sends nothing."""
        return LynseCollection(self._connection, self._name(database), name)

    def indexes(self) -> VectorizeClient:
        """A client of the indexes of ``database``: to create, list and delete them."""
        return over(VectorizeClient, self.connection)

    def index(self, name: str) -> Index:
        """An index to read and write; sends nothing. Refuses a name that none can have."""
        return Index(self.connection, name)

    def list_databases(self) -> tuple[str, ...]:
        """The names of all databases."""
        return run(self._server.call(self._connection.io(), servers.ListDatabases()))

    def server_info(self) -> ServerInfo:
        """Which LynseDB answers; raises `ConfigurationError` if none does."""
        dialect = run(self._server.known(self._connection.io()))
        return ServerInfo(dialect.version, dialect.is_coordinator)

    def to_async(self) -> AsyncLynseClient:
        """The async variant of this client, over the same connection."""
        return _over(AsyncLynseClient, self)

    def close(self) -> None:
        """Close what this client opened; safe to call again."""
        for connection in self._opened:
            connection.close()


@checks_keywords()
class AsyncLynseClient(_Client, AsyncClosing):
    """`LynseClient` with async methods; each event loop has its own HTTP client."""

    def database(self, name: str) -> AsyncLynseDatabase:
        """A database; sends nothing."""
        return AsyncLynseDatabase(self._connection, name)

    def collection(self, name: str, *, database: str | None = None) -> AsyncLynseCollection:
        """A collection to read and write; sends nothing."""
        return AsyncLynseCollection(self._connection, self._name(database), name)

    def indexes(self) -> AsyncVectorizeClient:
        """A client of the indexes of ``database``: to create, list and delete them."""
        return over(AsyncVectorizeClient, self.connection)

    def index(self, name: str) -> AsyncIndex:
        """An index to read and write; sends nothing. Refuses a name that none can have."""
        return AsyncIndex(self.connection, name)

    async def list_databases(self) -> tuple[str, ...]:
        """`LynseClient.list_databases`, awaited."""
        return await self._server.call(self._connection.async_io(), servers.ListDatabases())

    async def server_info(self) -> ServerInfo:
        """`LynseClient.server_info`, awaited."""
        dialect = await self._server.known(self._connection.async_io())
        return ServerInfo(dialect.version, dialect.is_coordinator)

    def to_sync(self) -> LynseClient:
        """The sync variant of this client, over the same connection."""
        return _over(LynseClient, self)

    async def aclose(self) -> None:
        """Close what this client opened; safe to call again."""
        for connection in self._opened:
            await connection.aclose()
