"""The rows of vectors: what reads see.

Slots ascend in order of insertion; an upsert of a known id keeps its slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final, Literal, NamedTuple

import numpy as np

from vectorize_core import json
from vectorize_core.local.catalog import Index
from vectorize_core.models import Metadata, Values, Vector

Kind = Literal["insert", "upsert", "delete", "metadata-index"]


class Record(NamedTuple):
    """A vector as a mutation carries it; a deletion carries ids only."""

    id: str
    namespace: str | None = None
    metadata: str | None = None
    """Compact JSON, or None where the vector has no metadata."""
    data: bytes | None = None
    """Little-endian float32."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a slot holds beside its values; (``processed``, ``seq``) is the mutation it is from."""

    id: str
    seq: int
    processed: float
    metadata: str | None


_PUT: Final = (
    "INSERT INTO vectors (index_id, id, seq, processed, namespace, metadata, data) "
    "VALUES (:index, :id, :seq, :processed, :namespace, :metadata, :data) "
    "ON CONFLICT (index_id, id) DO "
)
_STATEMENTS: Final = {
    "insert": _PUT + "NOTHING",
    "upsert": _PUT + "UPDATE SET seq = excluded.seq, processed = excluded.processed, "
    "namespace = excluded.namespace, metadata = excluded.metadata, data = excluded.data",
    "delete": "DELETE FROM vectors WHERE index_id = :index AND id = :id",
}


def apply(
    tx: Connection,
    index: Index,
    kind: Kind,
    records: Iterable[Record],
    *,
    seq: int,
    processed: float,
) -> None:
    """Carry out a mutation, in the order of its records."""
    if kind == "metadata-index":
        return
    common = {"index": index.id, "seq": seq, "processed": processed}
    done = tx.executemany(_STATEMENTS[kind], (record._asdict() | common for record in records))
    if done.rowcount:
        tx.execute("UPDATE indexes SET version = version + 1 WHERE id = ?", (index.id,))


def count(tx: Connection, index: Index) -> int:
    """How many vectors reads see."""
    row = tx.execute("SELECT count(*) FROM vectors WHERE index_id = ?", (index.id,)).fetchone()
    return int(row[0])


def ids(tx: Connection, index: Index) -> list[str]:
    """All ids, by slot."""
    rows = tx.execute("SELECT id FROM vectors WHERE index_id = ? ORDER BY slot", (index.id,))
    return [name for (name,) in rows]


def get(tx: Connection, index: Index, vector_id: str) -> Vector | None:
    """One vector, as it was put."""
    row = tx.execute(
        "SELECT namespace, metadata, data FROM vectors WHERE index_id = ? AND id = ?",
        (index.id, vector_id),
    ).fetchone()
    if row is None:
        return None
    namespace, metadata, data = row
    return Vector(vector_id, unpacked(data), namespace, parsed(metadata))


def scan(tx: Connection, index: Index) -> Iterator[tuple[int, str, int, str | None, bytes]]:
    """Slot, id, mutation, namespace and data of every vector, by slot."""
    return iter(
        tx.execute(
            "SELECT slot, id, seq, namespace, data FROM vectors WHERE index_id = ? ORDER BY slot",
            (index.id,),
        )
    )


def scan_metadata(tx: Connection, index: Index) -> Iterator[Stored]:
    """What every slot holds beside its values, in the order of `scan`."""
    rows = tx.execute(
        "SELECT id, seq, processed, metadata FROM vectors WHERE index_id = ? ORDER BY slot",
        (index.id,),
    )
    return (Stored(*row) for row in rows)


def stored(tx: Connection, slot: int) -> Stored | None:
    """What one slot holds beside its values; its ``seq`` tells whether it is still the same."""
    row = tx.execute(
        "SELECT id, seq, processed, metadata FROM vectors WHERE slot = ?", (slot,)
    ).fetchone()
    return None if row is None else Stored(*row)


def packed(values: Values) -> bytes:
    """Values as they are stored."""
    return values.astype("<f4", copy=False).tobytes()


def unpacked(data: bytes) -> Values:
    """Values as they were before `packed`, in memory of their own."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def parsed(metadata: str | None) -> Metadata | None:
    """Metadata as it was, made anew."""
    if metadata is None:
        return None
    value: Metadata = json.loads(metadata)
    return value
