"""`TextIndex`: the texts of the records of an index, found by their words.

Beside the vectors stands a table of FTS5, with a row for each text. The rows are hints: what they
say is checked against the vectors, which are the truth (docs/hybrid.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from vectorize_core import jsontext
from vectorize_core.api import validation
from vectorize_core.api.d1 import Rows, Statement
from vectorize_core.errors import (
    At,
    ConfigurationError,
    InvalidVectorError,
    UnexpectedAnswerError,
    shown,
)
from vectorize_core.filters.sql import Condition
from vectorize_core.texts import fts
from vectorize_core.texts.frequent import FrequentWords
from vectorize_core.texts.fts import TextRow
from vectorize_core.texts.store import parts
from vectorize_core.texts.text_explanation import TextExplanation, explanation
from vectorize_core.texts.tokens import TOKENIZERS, Tokenizer, question
from vectorize_core.transport.io import Io

_AT_ONCE: Final = 500
"""Records in a statement."""
_BYTES: Final = 1_900_000
"""Of a statement's rows, unless it is one row; D1 takes 2 MB."""
_BYTES_PER_CHARACTER: Final = 12
"""The most that one can take in a row."""
_LONGEST_TOKEN: Final = "-" * 64
_STATEMENTS: Final = 4
"""Together."""


class TextHit(NamedTuple):
    """A row that was found; a larger ``score`` is better, of the same question only."""

    id: str
    put: str
    score: float


class KeptRow(NamedTuple):
    """What a row was put for: its text and write as ``put``, and what filters look up, as JSON."""

    put: str
    properties: str


class Notes(NamedTuple):
    """What is noted of a text index: for which index it is complete, and how far it was made."""

    complete: str | None = None
    cursor: str | None = None


class NoTableError(Exception):
    """A table is not there yet."""


class TextIndex(ABC):
    """Texts of the records of indexes, found by their words: a table of FTS5 for each index.

    ``tokenizer`` says what counts as a word: "unicode61" takes letters and digits, in any case and
    without accents, "porter" takes the endings from English words as well, and "trigram" finds
    parts of words, from three letters on. A table keeps the one that it was made with. Languages
    without spaces are indexed by the character. All methods are flows: they await nothing but
    their ``io``, and may be called from several threads and processes, and repeated.
    """

    max_bytes = _BYTES
    """Of a row, as JSON."""
    notes_puts = False
    """Whether it costs little to note puts (`PutNotes`)."""

    def __init__(self, *, tokenizer: Tokenizer = "unicode61") -> None:
        validation.one_of("tokenizer", tokenizer, TOKENIZERS)
        self.tokenizer = tokenizer
        self._checked: set[str] = set()
        self._complete: set[tuple[str, str]] = set()
        self._frequent = FrequentWords()
        self._with_put: dict[str, list[Statement]] = {}

    @abstractmethod
    async def _read(self, io: Io, statement: Statement, /) -> Rows:
        """The rows of a statement that changes nothing. `NoTableError` if its table is missing."""

    @abstractmethod
    async def _write(
        self, io: Io, statements: Sequence[Statement], /, *, synced: bool = True
    ) -> None:
        """Carry out statements that may be repeated, all or none, and durably.

        If not ``synced`` it is enough that they survive the end of the process.
        `NoTableError` if their table is missing.
        """

    @property
    def settings(self) -> dict[str, str | None] | None:
        """The arguments that make it again; None if there are others than strings."""
        return None

    def _forget(self) -> None:
        """Look again whether tables are there, and have all texts."""
        self._checked.clear()
        self._complete.clear()

    def table(self, index: str) -> str:
        """What the table of an index is called."""
        return fts.table_of(index)

    def close(self) -> None:  # noqa: B027 - most hold nothing open
        """Free what is held open; safe to call again."""

    def release(self) -> None:
        """Free what is held open until it is needed again, since others may use this."""
        self.close()

    async def put(self, io: Io, index: str, rows: Sequence[TextRow], token: str, /) -> None:
        """Put rows under the ``token`` of a write: repeated with that token, each is there once.

        Rows of the same records that other writes have put stay.
        """
        notes = self._with_put.pop(token, [])
        encoded = [self._encoded(row, token) for row in rows]
        statements = [fts.insertion(self.table(index), some) for some in _by_size(encoded)]
        for some in parts(statements, _STATEMENTS):
            await self._add(io, index, [*notes, *some])
            notes = []

    def note_with(self, token: str, index: str, notes: Mapping[str, str | None], /) -> None:
        """Change what is noted together with the first rows that are put under ``token``."""
        table = self.table(index)
        self._with_put[token] = [fts.noting(table, name, note) for name, note in notes.items()]

    async def kept(self, io: Io, index: str, ids: Sequence[str], /) -> dict[str, list[KeptRow]]:
        """All rows of these records; those that have none are left out."""
        found: dict[str, list[KeptRow]] = {}
        for some in parts(ids, _AT_ONCE):
            statement = fts.versions(self.table(index), some, self.tokenizer)
            for row in await self._rows(io, statement):
                at, put, properties = _checked(row, int, str, str)
                if not 0 <= at < len(some):
                    raise UnexpectedAnswerError(f"a row of record {at}, of {len(some)}")
                found.setdefault(some[at], []).append(KeptRow(put, properties))
        return found

    async def every(self, io: Io, index: str, /) -> AsyncGenerator[list[tuple[str, str]], None]:
        """The id and ``put`` of all rows, some at a time."""
        after = 0
        while rows := await self._rows(io, fts.page(self.table(index), after, _AT_ONCE)):
            yield [(_id(row[1]), *_checked(row[2:], str)) for row in rows]
            (after,) = _checked(rows[-1][:1], int)

    async def versions(self, io: Io, index: str, ids: Sequence[str], /) -> dict[str, list[str]]:
        """The ``put`` of all rows of these records; those that have none are left out."""
        kept = await self.kept(io, index, ids)
        return {record_id: [row.put for row in rows] for record_id, rows in kept.items()}

    async def delete(
        self, io: Io, index: str, puts: Mapping[str, Sequence[str]], /, *, over: str | None = None
    ) -> None:
        """Delete rows by the ids of their records and their ``put``; unknown ones are no error.

        The note of the name ``over`` goes with the last of them.
        """
        table, rows = self.table(index), [(one, put) for one, some in puts.items() for put in some]
        statements = [fts.deletion(table, some, self.tokenizer) for some in parts(rows, _AT_ONCE)]
        if over is not None:
            statements.append(fts.noting(table, over, None))
        for together in parts(statements, _STATEMENTS):
            try:
                await self._write(io, together)
            except NoTableError:
                return

    async def find(
        self,
        io: Io,
        index: str,
        query: str,
        /,
        *,
        namespace: str | None = None,
        where: Condition | None = None,
        limit: int,
        offset: int = 0,
    ) -> list[TextHit]:
        """The best rows for the words of ``query``, of any namespace if it is None.

        A record that is being rewritten has several. Nothing is found without a word, nor before
        anything was put.
        """
        words = question(query, self.tokenizer)
        if not words or limit < 1 or not await self._is_made(io, index):
            return []
        statement = fts.search(
            self.table(index),
            words,
            namespace=namespace,
            where=where,
            limit=limit,
            offset=offset,
            tokenizer=self.tokenizer,
            known=partial(self._frequent.find, index),
        )
        rows = await self._rows(io, statement)
        if rows:
            try:
                counted = fts.counted(words, namespace, rows[0], self.tokenizer)
            except (TypeError, ValueError, IndexError):
                raise UnexpectedAnswerError(
                    f"{shown(rows[0])} does not tell how many records have each word"
                ) from None
            self._frequent.note(index, counted)
        return [TextHit(_id(row[0]), *_checked(row[1:], str, float)) for row in rows[1:]]

    async def explain(self, io: Io, index: str, query: str, /) -> TextExplanation:
        """Which words of ``query`` records have, and which of them `find` ranks by."""
        words = question(query, self.tokenizer)
        rows: Rows = []
        if words and await self._is_made(io, index):
            rows = await self._rows(io, fts.counting(self.table(index), words))
        return explanation(query, words, [_checked(row, int, int) for row in rows])

    async def is_empty(self, io: Io, index: str, /) -> bool:
        """Whether there is no row."""
        return not await self._rows(io, fts.page(self.table(index), 0, 1))

    async def notes(self, io: Io, index: str, /) -> Notes:
        """What is noted; nothing before anything was put or noted."""
        noted = await self.noted(io, index)
        return Notes(noted.get("complete"), noted.get("cursor"))

    async def noted(self, io: Io, index: str, /) -> dict[str, str]:
        """All that is noted, by name."""
        rows = await self._rows(io, fts.notes(self.table(index)))
        return dict(_checked(row, str, str) for row in rows)

    async def note(self, io: Io, index: str, /, **notes: str | None) -> None:
        """Change what is noted: ``complete``, ``cursor`` or ``traced``; None for nothing."""
        table = self.table(index)
        await self._add(io, index, [fts.noting(table, name, note) for name, note in notes.items()])

    async def note_unsynced(self, io: Io, index: str, name: str, note: str, /) -> None:
        """Note what may be lost with the power."""
        await self._add(io, index, [fts.noting(self.table(index), name, note)], synced=False)

    async def is_complete(self, io: Io, index: str, created: str, /) -> bool:
        """Whether it is noted that all texts are there, of the index that was ``created`` then."""
        of = index, created
        if of not in self._complete and (await self.notes(io, index)).complete == created:
            self._complete.add(of)
        return of in self._complete

    async def drop(self, io: Io, index: str, /) -> None:
        """Delete all texts of an index, and what is noted."""
        await self._write(io, fts.removal(self.table(index)))
        self._forget()
        self._frequent.forget(index)

    async def _rows(self, io: Io, statement: Statement) -> Rows:
        try:
            return await self._read(io, statement)
        except NoTableError:
            self._forget()
            return []

    async def _is_made(self, io: Io, index: str) -> bool:
        """Whether the table is there; an error if it has another tokenizer."""
        if index not in self._checked:
            noted = await self.noted(io, index)
            if "tokenizer" not in noted:
                return False
            has, of = noted["tokenizer"], noted.get("index")
            if of != index:
                raise ConfigurationError(
                    f"the table of {self!r} is that of the index {of!r}, not of {index!r}: pass "
                    "another table="
                )
            if has != self.tokenizer:
                raise ConfigurationError(
                    f"the text index of {index!r} in {self!r} was made with the tokenizer {has!r}, "
                    f"not {self.tokenizer!r}: pass tokenizer={has!r}, or take another table, and "
                    "call reindex_texts() of the store"
                )
            self._checked.add(index)
        return True

    async def _add(
        self, io: Io, index: str, statements: Sequence[Statement], *, synced: bool = True
    ) -> None:
        """Carry out statements on the table of an index, which is made if it is missing."""
        await self._make(io, index)
        try:
            await self._write(io, statements, synced=synced)
        except NoTableError:
            # Another store has dropped it since.
            self._forget()
            await self._make(io, index)
            await self._write(io, statements, synced=synced)

    async def _make(self, io: Io, index: str) -> None:
        if not await self._is_made(io, index):
            await self._write(io, fts.creation(self.table(index), index, self.tokenizer))
            await self._is_made(io, index)

    def check(self, row: TextRow | None, at: At) -> None:
        """Raise `InvalidVectorError` if a row, called ``at``, is longer than can be kept."""
        if row is not None and len(row.text) * _BYTES_PER_CHARACTER > self.max_bytes:
            self._encoded(row, _LONGEST_TOKEN, at)

    def _encoded(self, row: TextRow, token: str, at: At | None = None) -> bytes:
        encoded = fts.encoded(row, token, self.tokenizer)
        if len(encoded) > self.max_bytes:
            name = f"vector {row.id!r}" if at is None else at
            raise InvalidVectorError(
                f"{name}: with its text a text index would have to keep {len(encoded)} "
                f"bytes, of at most {self.max_bytes}. Split it into smaller chunks"
            )
        return encoded


def no_fts5(where: str) -> ConfigurationError:
    """The error of an SQLite that cannot search for words."""
    return ConfigurationError(
        f"{where} has no FTS5, which searches by words need. Use a text index somewhere else, or "
        "an SQLite that was built with SQLITE_ENABLE_FTS5, as those of python.org, Debian, "
        "Homebrew and conda are"
    )


def _by_size(rows: Sequence[bytes]) -> Iterator[list[bytes]]:
    """``rows`` in order, as many together as one statement takes."""
    part: list[bytes] = []
    size = 0
    for row in rows:
        if part and (len(part) == _AT_ONCE or size + len(row) > _BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row) + 1
    if part:
        yield part


def _checked(row: Sequence[Any], *types: type) -> tuple[Any, ...]:
    """A row of these types, of which D1 makes a whole number a float or none."""
    if len(row) != len(types):
        raise UnexpectedAnswerError(f"a row of a text index has {len(row)} values")
    for value, wanted in zip(row, types, strict=True):
        if type(value) not in ((int, float) if wanted in (int, float) else (wanted,)):
            raise UnexpectedAnswerError(
                f"a row of a text index has {shown(value)} in place of a {wanted.__name__}"
            )
    return tuple(wanted(value) for value, wanted in zip(row, types, strict=True))


def _id(encoded: Any) -> str:
    try:
        (found,) = _checked((jsontext.loads(encoded),), str)
    except (TypeError, ValueError):
        raise UnexpectedAnswerError(f"{shown(encoded)} is no id of a text index") from None
    return str(found)
