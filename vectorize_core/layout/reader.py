"""From a vector to its record."""

from __future__ import annotations

import dataclasses

from vectorize_core.layout import record as layout
from vectorize_core.layout.record import Record
from vectorize_core.models import Match, Vector


@dataclasses.dataclass(frozen=True, slots=True)
class RecordReader:
    """Reads the records of a store, whose texts stand under ``text_key``.

    The reader of a tenant's view (``bound``) gives records the ids that the tenant knows.
    """

    text_key: str = layout.DEFAULT_TEXT_KEY
    bound: bool = False

    def read(self, vector: Match | Vector) -> Record:
        """The record that a vector's metadata holds, with its text if that is in there."""
        record = layout.decode(vector.id, vector.metadata, text_key=self.text_key)
        return dataclasses.replace(record, id=record.name) if self.bound else record
