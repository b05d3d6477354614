"""`AnyCollection`: what both variants of a collection share."""

from __future__ import annotations

from vectorize_core.connection import Connection
from vectorize_core.lynse import checks
from vectorize_core.lynse.connecting import server_of


class AnyCollection:
    """A collection by its name; sends nothing by itself."""

    def __init__(self, connection: Connection, database: str, name: str) -> None:
        self._connection = connection
        self._server = server_of(connection)
        self._at = checks.name(database, "database"), checks.name(name, "collection")

    @property
    def database_name(self) -> str:
        """The name of its database."""
        return self._at[0]

    @property
    def name(self) -> str:
        """The name of the collection."""
        return self._at[1]

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._at}"
