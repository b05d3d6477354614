"""SQL on Cloudflare D1 as operations, carried out like those of Vectorize.

https://developers.cloudflare.com/api/resources/d1/subresources/database/methods/raw/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import quote

from vectorize_core.api import answers, wire
from vectorize_core.api.operations import Kind, Op
from vectorize_core.api.wire import Request
from vectorize_core.errors import BadRequestError, InvalidInputError, VectorizeError

# https://developers.cloudflare.com/d1/platform/limits/
MAX_PARAMETERS: Final = 100
"""Of one statement."""
MAX_VALUE_BYTES: Final = 2_000_000
"""Of a text, and of a row."""

BOUND: Final = "binding"
"""What stands for the id of a database that is reached through a binding."""
_SQL_ERROR: Final = 7500

Statement = tuple[str, tuple[str, ...]]
"""SQL and its parameters: texts, for the interface documents no others."""
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class ReadD1(Op[tuple[Rows, ...]]):
    """Statements that change nothing, as one transaction; the answer is the rows of each."""

    database: str
    statements: tuple[Statement, ...]

    @property
    def target(self) -> str:
        """The id of the database."""
        return self.database

    def request(self) -> Request:
        """One batch; its rows come as lists."""
        if self.database in ("", ".", ".."):
            raise InvalidInputError(f"{self.database!r} cannot be the id of a D1 database")
        batch = [{"sql": sql, "params": params} for sql, params in self.statements]
        return Request(
            "POST",
            f"/{quote(self.database, safe='')}/raw",
            content_type=wire.JSON,
            body=wire.json_body({"batch": batch}),
            area="/d1/database",
        )

    def read(self, result: Any) -> tuple[Rows, ...]:
        """The rows of each statement."""
        count, of_reads = len(self.statements), self.kind == "read"
        return answers.read_rows(result, count, of_reads=of_reads)


@dataclass(frozen=True, slots=True)
class WriteD1(ReadD1):
    """Statements that may be repeated: carried out twice they have the same effect as once."""

    kind: ClassVar[Kind] = "write"


def is_missing_table(error: VectorizeError) -> bool:
    """Whether a statement was refused because its table does not exist yet."""
    return (
        isinstance(error, BadRequestError)
        and error.code == _SQL_ERROR
        and "no such table" in error.message
    )


def quoted(name: str) -> str:
    """``name`` as the name of a table."""
    return '"' + name.replace('"', '""') + '"'
