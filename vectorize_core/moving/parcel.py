"""`Parcel`: a record on its way from one place to another, and its digest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from vectorize_core import jsontext, layout
from vectorize_core.models import Vector
from vectorize_core.moving.moved import Moved
from vectorize_core.texts.store import digest_in

_DIGEST_BYTES: Final = 16
LARGEST: Final = (1 << 8 * _DIGEST_BYTES) - 1
"""No digest is larger."""


class Parcel(NamedTuple):
    """A record as it stands in a vector, under its owner's id, and its text if that is outside."""

    vector: Vector
    text: str | None = None


def digest(vector: Vector) -> int:
    """A number by which a record is recognised wherever it is.

    What a metadata index has the layout write besides says nothing of the record. The name of a
    text outside differs from place to place, but for its end, which is the text's own digest.
    """
    metadata = layout.unshown(vector.metadata or {})
    said = {key: metadata[key] for key in metadata if key not in layout.METADATA_INDEXES}
    if said.get(layout.EXTRA) == layout.NOTHING_MORE:
        # As a foreign vector has it, which becomes a tenant's and leaves again.
        del said[layout.EXTRA]
    name = layout.text_name_of(vector)
    if name is not None:
        said[layout.EXTRA] = said[layout.EXTRA].replace(name, digest_in(name))
    content = jsontext.dumps_sorted([vector.id, vector.namespace, said])
    found = blake2b(content, digest_size=_DIGEST_BYTES)
    found.update(vector.values.tobytes())
    return int.from_bytes(found.digest())


def size(parcel: Parcel) -> int:
    """How many characters its long text has."""
    return 0 if parcel.text is None else len(parcel.text)


@dataclass(slots=True)
class Tally:
    """How many records there were, in any order, and what the sum of their digests is."""

    records: int = 0
    texts: int = 0
    total: int = 0

    def add(self, parcels: Iterable[Parcel]) -> None:
        """Count these too."""
        for parcel in parcels:
            self.records += 1
            self.texts += parcel.text is not None
            self.total = (self.total + digest(parcel.vector)) & LARGEST

    @property
    def moved(self) -> Moved:
        """What was counted."""
        return Moved(self.records, self.texts, self.total.to_bytes(_DIGEST_BYTES).hex())
