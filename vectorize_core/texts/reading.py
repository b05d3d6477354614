"""Records with the texts that stand outside their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

from vectorize_core.errors import MissingTextError
from vectorize_core.layout import Record, RecordReader
from vectorize_core.models import Match, Vector
from vectorize_core.reads.by_id import get_many
from vectorize_core.state.index_state import IndexState
from vectorize_core.texts.store import TextStore, is_intact, is_ours
from vectorize_core.transport.io import Io

V = TypeVar("V", bound=Match | Vector)
OnMissingText: TypeAlias = Literal["error", "empty"]


def name_outside(vector_id: str, record: Record, *, plain_ids: bool) -> str | None:
    """What the text of a record is called that stands outside its vector; None if it does not.

    ``plain_ids``: other clients keep texts under the ids of vectors, but none under names of ours.
    """
    if record.text_name is not None:
        return record.text_name
    has_none = record.text is None and record.node is None
    return vector_id if has_none and plain_ids and not is_ours(vector_id) else None


@dataclass(frozen=True, slots=True)
class TextReading:
    """How the records of an index get their texts; ``texts`` is None where all are in vectors.

    ``reader`` makes records of what vectors hold.
    """

    state: IndexState
    reader: RecordReader
    texts: TextStore | None = None
    on_missing_text: OnMissingText = "error"

    async def records(self, io: Io, vectors: Sequence[V]) -> list[tuple[V, Record]]:
        """Vectors with their records; those that are gone are left out.

        `MissingTextError` for a text that is missing, or not the one that was written, unless
        that is to be an empty one.
        """
        records = await self.current(io, vectors)
        pairs = zip(vectors, records, strict=True)
        return [(vector, self._checked(record)) for vector, record in pairs if record is not None]

    async def for_filter(
        self, io: Io, vectors: Sequence[Match | Vector], /, *, texts: bool
    ) -> list[Record]:
        """The records of vectors for a post-filter, with ``texts`` if it looks at them.

        The text of one that is gone is empty: it is left out later, where it is to be returned.
        """
        if not texts:
            return [self.reader.read(vector) for vector in vectors]
        records = await self.current(io, vectors)
        pairs = zip(vectors, records, strict=True)
        return [self._for_filter(vector, record) for vector, record in pairs]

    def _for_filter(self, vector: Match | Vector, record: Record | None) -> Record:
        if record is None:
            return replace(self.reader.read(vector), text="")
        if record.text is None and self.on_missing_text == "empty":
            return replace(record, text="")
        return record

    async def current(self, io: Io, vectors: Sequence[Match | Vector]) -> list[Record | None]:
        """The records of vectors, with their texts where these are found; None for what is gone.

        A text is also missing if its record has changed since the vector was read. So the vector
        is then read again.
        """
        records = await self._fill(io, vectors)
        if self.texts is None:
            return list(records)
        pairs = list(zip(vectors, records, strict=True))
        lost = [vector.id for vector, record in pairs if self._lacks(vector.id, record)]
        if not lost:
            return list(records)
        now = list((await get_many(io, self.state, lost)).values())
        again = dict(zip((v.id for v in now), await self._fill(io, now), strict=True))
        return [again.get(v.id) if self._lacks(v.id, record) else record for v, record in pairs]

    async def _fill(self, io: Io, vectors: Sequence[Match | Vector]) -> list[Record]:
        """The records of vectors, with the texts outside that are found."""
        records = [self.reader.read(vector) for vector in vectors]
        if self.texts is None:
            return records
        names = [self._name(v.id, record) for v, record in zip(vectors, records, strict=True)]
        plain = {v.id: v.namespace for v, name in zip(vectors, names, strict=True) if v.id == name}
        wanted = [n for n in dict.fromkeys(names) if n is not None and n not in plain]
        if not (wanted or plain):
            return records
        index, found = self.state.name, dict[str, str]()
        if wanted:
            found |= await self.texts.get(io, index, wanted)
        if plain:
            found |= await self.texts.get_plain(io, index, plain)
        pairs = zip(records, names, strict=True)
        return [self._with_text(record, name, found) for record, name in pairs]

    def _with_text(self, record: Record, name: str | None, found: Mapping[str, str]) -> Record:
        """The record with its text of that name, if that was found, and is the one written."""
        if name is None or name not in found:
            return record
        if is_intact(name, found[name]):
            return replace(record, text=found[name])
        if self.on_missing_text == "error":
            raise MissingTextError(
                f"the text of record {record.id!r} is damaged: in {self.texts!r}, {name!r} is not "
                "the text that was written, whose digest is in that name. Write the record again, "
                "or take it for empty with on_missing_text='empty'"
            )
        return record

    def _name(self, vector_id: str, record: Record) -> str | None:
        plain_ids = self.texts is not None and self.texts.plain_ids
        return name_outside(vector_id, record, plain_ids=plain_ids)

    def _lacks(self, vector_id: str, record: Record) -> bool:
        """Whether a record has a text somewhere that was not found."""
        return record.text is None and self._name(vector_id, record) is not None

    def _checked(self, record: Record) -> Record:
        """The record with a text, if it is one that must have one."""
        if record.text is not None or (record.node is not None and record.text_name is None):
            return record
        if self.on_missing_text == "empty":
            return replace(record, text="")
        if record.text_name is None:
            # Where a text is needed, the error lists what there is: a node may do without.
            return record
        absent = "" if self.texts is None else f", but is not in {self.texts!r}"
        raise MissingTextError(
            f"the text of record {record.id!r} does not fit into its vector, and stands in a store "
            f"of texts under {record.text_name!r}{absent}: give the store the texts= that it was "
            "written with, write the record again, or take it for empty with "
            f"on_missing_text='empty'. Its metadata has the keys "
            f"{sorted(map(str, record.metadata))}"
        )
