"""Records with the texts that stand outside their vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vectorize_core.errors import InvalidInputError, MissingTextError
from vectorize_core.flows.sieve import Preparing, ReadRecord
from vectorize_core.io import Io
from vectorize_core.layout import Record
from vectorize_core.models import Match, Vector
from vectorize_core.texts.store import TextStore

OnMissingText: TypeAlias = Literal["error", "empty"]


@dataclass(frozen=True, slots=True)
class TextReading:
    """How the records of an index get their texts; ``texts`` is None where all are in vectors.

    ``read`` makes a record of what a vector holds.
    """

    index: str
    read: ReadRecord
    texts: TextStore | None = None
    on_missing_text: OnMissingText = "error"

    def __post_init__(self) -> None:
        if self.on_missing_text not in ("error", "empty"):
            raise InvalidInputError(
                f"on_missing_text is 'error' or 'empty'; got {self.on_missing_text!r}"
            )

    async def records(self, io: Io, vectors: Sequence[Match | Vector]) -> list[Record]:
        """The records of vectors, whole.

        `MissingTextError` for one whose text should be outside the vector and is not, unless a
        missing text is to be empty.
        """
        records = await self.fill(io, vectors)
        for record in records:
            if record.text is None and record.text_name is not None:
                raise MissingTextError(self._why(record))
        return records

    async def fill(self, io: Io, vectors: Sequence[Match | Vector]) -> list[Record]:
        """`records`; one without its text is left as it is."""
        records = [self.read(vector.id, vector.metadata) for vector in vectors]
        if all(record.text is not None for record in records):
            return records
        names = [self._name(v.id, record) for v, record in zip(vectors, records, strict=True)]
        wanted = [name for name in dict.fromkeys(names) if name is not None]
        if self.texts is not None and wanted:
            found = await self.texts.get(io, self.index, wanted)
            records = [
                record if name is None else _with(record, found.get(name))
                for record, name in zip(records, names, strict=True)
            ]
        if self.on_missing_text == "empty":
            records = [
                _with(record, "") if _should_have_one(record) else record for record in records
            ]
        return records

    def _name(self, vector_id: str, record: Record) -> str | None:
        """What the text of a record without one is called in the store of texts."""
        if record.text is not None or record.text_name is not None or record.node is not None:
            return record.text_name
        plain = self.texts is not None and self.texts.plain_ids
        return vector_id if plain else None

    def _why(self, record: Record) -> str:
        where = (
            "give the store the texts= that it was written with"
            if self.texts is None
            else f"it is not in {self.texts!r}. Write the record again"
        )
        return (
            f"the text of record {record.id!r} does not fit into its vector, and stands in a store "
            f"of texts under {record.text_name!r}: {where}, or take it for empty with "
            f"on_missing_text='empty'. Its metadata has the keys "
            f"{sorted(map(str, record.metadata))}"
        )


def _should_have_one(record: Record) -> bool:
    """Whether a record without a text lacks something: a node need not have one."""
    return record.node is None or record.text_name is not None


def _with(record: Record, text: str | None) -> Record:
    if text is None or record.text is not None:
        return record
    return dataclasses.replace(record, text=text)


@dataclass(slots=True)
class WholeRecords(Preparing):
    """Reads records for a filter that looks at their texts."""

    reading: TextReading
    _ready: Mapping[str, Record] = field(default_factory=dict)

    def __call__(self, vector_id: str, metadata: Mapping[str, Any] | None) -> Record:
        """The record in a vector's metadata, with its text if it was prepared."""
        ready = self._ready.get(vector_id)
        if ready is not None:
            return ready
        return self.reading.read(vector_id, metadata)

    async def prepare(self, io: Io, vectors: Sequence[Match | Vector]) -> None:
        """Get the texts of these; those before them are forgotten."""
        records = await self.reading.fill(io, vectors)
        self._ready = {v.id: record for v, record in zip(vectors, records, strict=True)}
