"""Results of a request's statements, bounded as their rows come."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import orjson

from vectorize_core.local import faults

MAX_ROWS: Final = 100_000
"""In one result: a limit of ours, so that a careless join does not take all memory."""
MAX_BYTES: Final = 32_000_000
"""In all results of a request, as JSON, with something for each value and each result."""
_BYTES_PER_VALUE: Final = 32
_BYTES_PER_RESULT: Final = 512
Row = tuple[Any, ...]


class Results:
    """The rows that one request was given so far."""

    def __init__(self) -> None:
        self._left = MAX_BYTES
        self._in_row = 0

    def rows(self, cursor: sqlite3.Cursor) -> tuple[list[str], list[Row]]:
        """Names of columns, and all rows. A fault if there are too many, or they are too large."""
        columns = [column[0] for column in cursor.description] if cursor.description else []
        # In the answer each row has the names of its columns.
        overhead = sum(len(orjson.dumps(name)) + _BYTES_PER_VALUE for name in columns)
        self._take(overhead + _BYTES_PER_RESULT)
        rows: list[Row] = []
        self._in_row = 0
        for row in cursor:
            if len(rows) == MAX_ROWS:
                raise faults.refused(f"a result has more than {MAX_ROWS} rows")
            # At least two characters for a byte, and a list of it takes much more than the bytes.
            self._check(overhead + sum(2 * len(v) for v in row if isinstance(v, bytes)))
            readable = [list(value) if isinstance(value, bytes) else value for value in row]
            self._take(overhead + len(orjson.dumps(readable)))
            self._in_row = 0
            rows.append(tuple(readable))
        return columns, rows

    def text(self, encoded: bytes) -> str:
        """A text of a row, as SQLite hands it over before the row is whole."""
        self._in_row += len(encoded)
        self._check(self._in_row)
        return encoded.decode(errors="replace")

    def _check(self, size: int) -> None:
        if size > self._left:
            raise faults.refused(
                f"the results of a request are larger than {MAX_BYTES // 1_000_000} MB; "
                "ask for less at once",
                status=413,
            )

    def _take(self, size: int) -> None:
        self._check(size)
        self._left -= size
