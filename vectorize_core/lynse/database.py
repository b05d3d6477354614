"""The collections of a database: `LynseDatabase` and `AsyncLynseDatabase`."""

from __future__ import annotations

from typing import TypeVar

from vectorize_core.connection import Connection
from vectorize_core.kwargs import checks_keywords
from vectorize_core.lynse import checks
from vectorize_core.lynse.async_collection import AsyncLynseCollection
from vectorize_core.lynse.collection import LynseCollection
from vectorize_core.lynse.connecting import server_of
from vectorize_core.lynse.operations import servers
from vectorize_core.lynse.operations.base import LynseOp
from vectorize_core.transport.io import run

T = TypeVar("T")


class _Database:
    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._server = server_of(connection)
        self._name = checks.name(name, "database")

    @property
    def name(self) -> str:
        """The name of the database."""
        return self._name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"


@checks_keywords()
class LynseDatabase(_Database):
    """A database of a LynseDB."""

    def collection(self, name: str) -> LynseCollection:
        """A collection to read and write; sends nothing."""
        return LynseCollection(self._connection, self._name, name)

    def show_collections(self) -> tuple[str, ...]:
        """The names of its collections; raises `NotFoundError` if there is no such database."""
        return self._call(servers.ShowCollections(self._name))

    def create_database(self, *, drop_if_exists: bool = False) -> None:
        """Make the database; one that exists stays, unless it is to be dropped first."""
        self._call(servers.CreateDatabase(self._name, drop_if_exists))

    def database_exists(self) -> bool:
        """Whether there is such a database."""
        return self._call(servers.DatabaseExists(self._name))

    def drop_database(self) -> None:
        """Delete the database with all its collections; none of the name is no error."""
        self._call(servers.DropDatabase(self._name))

    def _call(self, op: LynseOp[T]) -> T:
        return run(self._server.call(self._connection.io(), op))


@checks_keywords()
class AsyncLynseDatabase(_Database):
    """`LynseDatabase` with async methods."""

    def collection(self, name: str) -> AsyncLynseCollection:
        """A collection to read and write; sends nothing."""
        return AsyncLynseCollection(self._connection, self._name, name)

    async def show_collections(self) -> tuple[str, ...]:
        """`LynseDatabase.show_collections`, awaited."""
        return await self._call(servers.ShowCollections(self._name))

    async def create_database(self, *, drop_if_exists: bool = False) -> None:
        """`LynseDatabase.create_database`, awaited."""
        await self._call(servers.CreateDatabase(self._name, drop_if_exists))

    async def database_exists(self) -> bool:
        """`LynseDatabase.database_exists`, awaited."""
        return await self._call(servers.DatabaseExists(self._name))

    async def drop_database(self) -> None:
        """`LynseDatabase.drop_database`, awaited."""
        await self._call(servers.DropDatabase(self._name))

    async def _call(self, op: LynseOp[T]) -> T:
        return await self._server.call(self._connection.async_io(), op)
