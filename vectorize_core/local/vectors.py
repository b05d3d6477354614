"""The table of vectors: all that is stored of a vector but its values.

The values are in a slot of the index. Slots are given in order and not used again: a replaced or
deleted vector leaves a dead slot until the index is compacted. ``position`` is the place in the
order of insertion, which an upsert of an existing id keeps.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, count, islice
from typing import Any, Final, Literal, NamedTuple, cast

import numpy as np

from vectorize_core import jsontext
from vectorize_core.job import Job
from vectorize_core.local import checksums, codes, unsynced, workers
from vectorize_core.local.batch import STORED, Batch
from vectorize_core.local.catalog import Index
from vectorize_core.local.schema import key, slot
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.models import Metadata, Values, Vector
from vectorize_core.sqlite.connecting import Connection

Kind = Literal["insert", "upsert", "delete", "metadata-index"]

_IDS_AT_ONCE: Final = 500
"""SQLite before 3.32 takes at most 999 parameters."""
_ROUNDED: Final = 8
"""Rows are asked for in multiples of so many."""
_ROW: Final = (
    "key, index_id, id, position, seq, processed, namespace, metadata, checksum, row_checksum"
)

_MUCH: Final = 1 << 18
"""Bytes of values whose codes another thread makes."""
_MARKS: Final = f"({', '.join('?' * 10)})"
_PUT: Final = f"INSERT INTO vectors VALUES {_MARKS}"  # noqa: S608 (marks)
_PUT_AT_ONCE: Final = 50
"""Rows of one statement, which takes three quarters of the time of as many statements."""
_PUT_MANY: Final = ", ".join([_PUT] + [_MARKS] * (_PUT_AT_ONCE - 1))


class VectorRow(NamedTuple):
    """The row of a vector; (``processed``, ``seq``) identify the mutation that wrote it."""

    key: int
    index_id: int
    id: str
    position: int
    seq: int
    processed: float
    namespace: str | None
    metadata: str | None
    checksum: int
    """Of the values."""
    row_checksum: int = 0
    """Of all else."""

    @property
    def slot(self) -> int:
        """Where its values are."""
        return slot(self.key)

    def parsed_metadata(self) -> Metadata | None:
        """The metadata as a new object."""
        return None if self.metadata is None else jsontext.loads(self.metadata)

    def own_checksum(self) -> int:
        """The ``row_checksum`` that the row should have."""
        # `checksums.content` of `columns`, but faster: this is done for each row that is read.
        key, index_id, name, position, seq, processed, namespace, metadata, checksum, _ = self
        time = checksums.time_text(processed)
        content = f"{index_id}\0{name}\0{seq}\0{time}\0{namespace}\0{metadata}\0{checksum}"
        crc = zlib.crc32(content.encode("utf-8", "surrogateescape"))
        return checksums.placed(crc, key, position)

    @property
    def intact(self) -> bool:
        """Whether the row, its values aside, has the checksum of what was written."""
        return self.own_checksum() == self.row_checksum

    def holds(self, values: Values) -> bool:
        """Whether ``values`` have the checksum of those written."""
        stored = values if values.dtype == STORED else values.astype(STORED)
        return checksums.of_values(stored.data) == self.checksum

    def verified(self) -> VectorRow:
        """The row. `StorageError` if it is not `intact`."""
        if self.own_checksum() != self.row_checksum:
            raise checksums.damaged(f"the record of id {self.id!r} (slot {self.slot}) is")
        return self

    def check(self, values: Values) -> None:
        """Raise `StorageError` if ``values`` do not have the checksum of those written."""
        if not self.holds(values):
            raise checksums.damaged(f"the values of id {self.id!r} (slot {self.slot}) are")

    def content(self) -> bytes:
        """What the checksum of the row covers, but its place."""
        return checksums.content(*self.columns())

    def columns(self) -> tuple[int, str, int, float, str | None, str | None, int]:
        """The columns of `content`, as in `schema.CHECKSUMS`."""
        index_id, name, _, seq, processed, namespace, metadata, checksum = self[1:9]
        return index_id, name, seq, processed, namespace, metadata, checksum


_as_row: Final = cast("Callable[[tuple[Any, ...]], VectorRow]", partial(tuple.__new__, VectorRow))
"""`VectorRow._make`, but faster."""


def apply(
    tx: Connection,
    value_stores: ValueStores,
    index: Index,
    kind: Kind,
    batch: Batch,
    *,
    seq: int,
    processed: float,
) -> Index:
    """Carry out a mutation, in the order of its vectors. Returns the changed index, not saved."""
    if kind == "metadata-index":
        return index
    # If an id occurs twice, an insert keeps the first and an upsert the last, in the first's place.
    batch = batch.unique(last=kind != "insert")
    known = _known(tx, index, batch.ids)
    if kind == "insert":
        batch, known = batch.without(known), {}
    put = 0 if kind == "delete" else len(batch.ids)
    changed = index.after(put=put, replaced=len(known) if put else 0, killed=len(known))
    if changed is index:
        return index
    if put:
        store = value_stores.store(index.id, index.generation, index.dimensions)
        logged = unsynced.keep(tx, value_stores, index, batch.rows)
        store.write(index.slots, batch.values.view(np.uint8).data, durable=not logged)
    if known:
        _kill(tx, index, [old for old, _ in known.values()])
    if put:
        rows = _rows(index, seq, float(processed), batch, known)
        if logged:
            codes.leave_out(value_stores, index, index.slots, batch.rows)
            add(tx, rows)
            return changed
        encoding = Job(codes.making(value_stores, index, index.slots, batch.rows))
        if batch.values.nbytes > _MUCH:
            workers.begin(encoding)
        add(tx, rows)
        # Not by the other thread, which could do so when this write was undone.
        codes.write(value_stores, index, index.slots, batch.rows, encoding.result())
    return changed


def _kill(tx: Connection, index: Index, keys: Sequence[int]) -> None:
    """Delete rows, and note that their slots are dead."""
    tx.executemany("DELETE FROM vectors WHERE key = ?", ((old,) for old in keys))
    tx.executemany(
        "INSERT INTO dead_slots VALUES (?, ?, ?, ?)",
        (
            (index.id, n, slot(old), checksums.placed(index.id, n, slot(old)))
            for n, old in enumerate(keys, index.dead)
        ),
    )


def _rows(
    index: Index,
    seq: int,
    processed: float,
    batch: Batch,
    known: Mapping[str, tuple[int, int]],
) -> Iterator[tuple[Any, ...]]:
    """Sealed rows of vectors in new slots; those that are ``known`` keep their positions."""
    index_id, new, keys = index.id, count(index.inserted), count(key(index.id, index.slots))
    # `VectorRow.own_checksum`, but faster: rows share this.
    before, between = f"{index_id}\0", f"\0{seq}\0{checksums.time_text(processed)}\0"
    columns = zip(keys, batch.ids, batch.namespaces, batch.metadata, batch.rows, strict=False)
    for new_key, name, namespace, metadata, values in columns:
        position = known[name][1] if name in known else next(new)
        checksum = checksums.of_values(values)
        content = f"{before}{name}{between}{namespace}\0{metadata}\0{checksum}".encode()
        seal = checksums.placed(zlib.crc32(content), new_key, position)
        yield new_key, index_id, name, position, seq, processed, namespace, metadata, checksum, seal


def add(tx: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows whose keys and ids are not there."""
    left = iter(rows)
    while len(some := list(islice(left, _PUT_AT_ONCE))) == _PUT_AT_ONCE:
        tx.execute(_PUT_MANY, list(chain.from_iterable(some)))
    tx.executemany(_PUT, some)


def ids(tx: Connection, index: Index) -> list[str]:
    """All ids, in order of insertion."""
    rows = tx.execute(
        "SELECT position, id FROM vectors WHERE key BETWEEN ? AND ? ORDER BY key", _span(index)
    ).fetchall()
    if not index.in_order:
        rows.sort()
    return [name for _, name in rows]


def get(
    tx: Connection, value_stores: ValueStores, index: Index, ids: Iterable[str]
) -> list[Vector | None]:
    """The vectors with these ids, None for each that is not there."""
    matrix, found = None, list[Vector | None]()
    for vector_id in ids:
        row = tx.execute(
            f"SELECT {_ROW} FROM vectors WHERE index_id = ? AND id = ?",  # noqa: S608
            (index.id, vector_id),
        ).fetchone()
        if row is None:
            found.append(None)
            continue
        stored = VectorRow(*row).verified()
        if matrix is None:
            store = value_stores.store(index.id, index.generation, index.dimensions)
            matrix = store.matrix(index.slots)
        values = matrix.take(np.array([stored.slot]))[0]
        stored.check(values)
        found.append(Vector(vector_id, values, stored.namespace, stored.parsed_metadata()))
    return found


def following(
    tx: Connection,
    value_stores: ValueStores,
    index: Index,
    start: int,
    count: int,
    namespace: str | None,
) -> tuple[list[Vector], int | None]:
    """Those of the next ``count`` vectors in a namespace, or all, and the slot behind them.

    None in place of the slot if these are the last ones.
    """
    rows = list(unverified(tx, index, start, count))
    wanted = [row.verified() for row in rows if namespace in (None, row.namespace)]
    store = value_stores.store(index.id, index.generation, index.dimensions)
    values = store.matrix(index.slots).take(np.array([row.slot for row in wanted], np.int64))
    for row, stored in zip(wanted, values, strict=True):
        row.check(stored)
    found = [
        Vector(row.id, stored, row.namespace, row.parsed_metadata())
        for row, stored in zip(wanted, values, strict=True)
    ]
    return found, rows[-1].slot + 1 if len(rows) == count else None


def known(tx: Connection, index: Index, wanted: Sequence[str]) -> frozenset[str]:
    """Those of these ids that exist."""
    found: set[str] = set()
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        some = wanted[start : start + _IDS_AT_ONCE]
        # SQLite finds them in its index of ids alone.
        rows = tx.execute(_looking_up(len(some), "id"), (index.id, *some))
        found.update(name for (name,) in rows)
    return frozenset(found)


def scan(
    tx: Connection, index: Index, start: int = 0, *, namespace: str | None = None
) -> Iterator[VectorRow]:
    """The rows of all vectors in slots from ``start`` on, in the order of slots, verified.

    Those of a ``namespace``, if it is given: what is wrong with others is not its affair.
    """
    rows = unverified(tx, index, start)
    return (row.verified() for row in rows if namespace in (None, row.namespace))


def unverified(
    tx: Connection, index: Index, start: int = 0, count: int = -1
) -> Iterator[VectorRow]:
    """Up to ``count`` rows, as they are."""
    first, last = _span(index)
    rows = tx.execute(
        f"SELECT {_ROW} FROM vectors WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?",  # noqa: S608
        (first + start, last, count),
    )
    return (VectorRow(*row) for row in rows)


def every(tx: Connection) -> Iterator[VectorRow]:
    """The rows of all indexes, and of none, as they are."""
    return (VectorRow(*row) for row in tx.execute(f"SELECT {_ROW} FROM vectors"))  # noqa: S608


def in_slots(tx: Connection, index: Index, slots: Sequence[int]) -> dict[int, VectorRow]:
    """The rows of the vectors in some slots, by slot; dead slots have none."""
    found: dict[int, VectorRow] = {}
    first = key(index.id, 0)
    for start in range(0, len(slots), _IDS_AT_ONCE):
        some = [first + n for n in slots[start : start + _IDS_AT_ONCE]]
        # Keys that are given twice make the statements few, which SQLite then need not parse.
        some += some[-1:] * (-len(some) % _ROUNDED)
        rows = tx.execute(
            f"SELECT {_ROW} FROM vectors WHERE key IN ({','.join('?' * len(some))})",  # noqa: S608
            some,
        )
        for row in map(_as_row, rows):
            found[row.key - first] = row.verified()
    return found


def positions(tx: Connection, index: Index, slots: Sequence[int]) -> dict[int, int]:
    """The positions of the vectors in some slots, by slot; dead slots have none. Not verified."""
    found: dict[int, int] = {}
    first = key(index.id, 0)
    for start in range(0, len(slots), _IDS_AT_ONCE):
        some = [first + n for n in slots[start : start + _IDS_AT_ONCE]]
        rows = tx.execute(
            f"SELECT key - ?, position FROM vectors WHERE key IN ({','.join('?' * len(some))})",  # noqa: S608
            (first, *some),
        )
        found.update(rows)
    return found


def dead_slots(tx: Connection, index: Index, start: int = 0) -> list[int]:
    """The dead slots, in the order in which they became so, without the first ``start``."""
    rows = tx.execute(
        "SELECT ordinal, slot, row_checksum FROM dead_slots "
        "WHERE index_id = ? AND ordinal >= ? ORDER BY ordinal",
        (index.id, start),
    ).fetchall()
    slots = [slot for _, slot, _ in rows]
    wanted = [(n, slot, checksums.placed(index.id, n, slot)) for n, slot in enumerate(slots, start)]
    inside = all(0 <= slot < index.slots for slot in slots)
    if rows != wanted or len(rows) != index.dead - start or not inside:
        raise checksums.damaged(f"the table of dead slots of the index {index.name!r} is")
    return slots


def unfindable(tx: Connection, index: Index, rows: Sequence[VectorRow]) -> str | None:
    """The id of a row that SQLite's index of ids does not lead to; None if there is none."""
    known = _known(tx, index, [row.id for row in rows])
    return next((row.id for row in rows if known.get(row.id, (None,))[0] != row.key), None)


def miscount(tx: Connection, index: Index) -> str | None:
    """What is wrong with the numbers of vectors and of dead slots; None if nothing is."""
    (live,) = tx.execute(
        "SELECT count(*) FROM vectors WHERE key BETWEEN ? AND ?", _span(index)
    ).fetchone()
    (dead,) = tx.execute(
        "SELECT count(*) FROM dead_slots WHERE index_id = ?", (index.id,)
    ).fetchone()
    if (live, dead) == (index.count, index.dead):
        return None
    return f"of {index.slots} slots {live} hold a vector and {dead} are given as dead"


def packed(values: Values) -> bytes:
    """Values in the form in which they are stored."""
    return (values if values.dtype == STORED else values.astype(STORED)).tobytes()


def _known(tx: Connection, index: Index, wanted: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Key and position of those ids that exist, in the order of ``wanted``."""
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        some = wanted[start : start + _IDS_AT_ONCE]
        rows = tx.execute(_looking_up(len(some), "id, key, position"), (index.id, *some))
        for name, old, position in rows:
            found[name] = old, position
    return found


@cache
def _looking_up(many: int, columns: str) -> str:
    marks = ",".join("?" * many)
    return f"SELECT {columns} FROM vectors WHERE index_id = ? AND id IN ({marks})"  # noqa: S608


def _span(index: Index) -> tuple[int, int]:
    """The first key of an index and its last one so far."""
    return key(index.id, 0), key(index.id, index.slots) - 1
