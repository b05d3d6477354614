"""The tables of indexes and of metadata indexes.

A metadata index is a row with two times: from ``live`` on, until ``gone``, it is in force. The
clock decides, so that nothing has to be done when such a time comes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any, Final

from vectorize_core import limits
from vectorize_core.local import checksums, faults, schema
from vectorize_core.local.checksums import damaged
from vectorize_core.local.schema import CHECKSUMS, INDEX, METADATA_INDEX
from vectorize_core.models import (
    METRICS,
    IndexConfig,
    IndexDetails,
    IndexType,
    MetadataIndex,
    Metric,
)
from vectorize_core.sqlite.connecting import Connection as Reading

_CHANGING: Final = ("submitted", "generation", "slots", "dead", "inserted", "clock")
# A statement sees columns as they were before it, so the checksum is of the parameters.
_UPDATE: Final = (
    f"UPDATE indexes SET {', '.join(f'{name} = :{name}' for name in _CHANGING)}, row_checksum = "  # noqa: S608
    + re.sub(rf"\b({'|'.join(_CHANGING)})\b", r":\1", CHECKSUMS["indexes"])
    + " WHERE id = :id"
)
_UPDATE_AFTER_MUTATION: Final = (
    "UPDATE indexes SET submitted = ?, last_mutation = ?, last_submitted = ?, last_processed = ?, "
    "generation = ?, slots = ?, dead = ?, inserted = ?, clock = ?, row_checksum = ? WHERE id = ?"
)
_IDS: Final = 1 << 63 - schema.SLOT_BITS
"""The id of an index is less, and never used again: keys of its vectors begin with it."""
_LATEST: Final = 253_402_300_799.0
"""The last second that a datetime can be."""
_JITTER: Final = 1.0
"""Seconds that the clock may go back without being taken to be set back."""


# Not frozen: each write makes two, and that would take seven times as long.
@dataclass(slots=True)
class Index:
    """The row of an index.

    ``submitted`` is the time of its latest mutation. The values of a ``generation`` are in a file;
    ``slots`` of it are in use or were, ``dead`` of them hold no vector any more. ``inserted`` is
    the next position in the order of insertion. ``properties`` is how many rows of metadata indexes
    there are. ``clock`` is what the clock said at the latest mutation.
    """

    id: int
    name: str
    dimensions: int
    metric: Metric
    description: str
    created: float
    submitted: float
    generation: int
    slots: int
    dead: int
    inserted: int
    properties: int = 0
    clock: float | None = None

    @property
    def count(self) -> int:
        """How many vectors reads see."""
        return self.slots - self.dead

    @property
    def in_order(self) -> bool:
        """Whether the order of slots is that of insertion: no upsert has moved a vector."""
        return self.slots == self.inserted

    @property
    def state(self) -> tuple[int, int, int, int]:
        """Changes whenever the visible vectors do."""
        return self.id, self.generation, self.slots, self.dead

    def after(self, *, put: int, replaced: int, killed: int) -> Index:
        """The index after a mutation that adds ``put`` slots and makes ``killed`` others dead."""
        if not (put or killed):
            return self
        slots, dead, inserted = self.slots + put, self.dead + killed, self.inserted + put - replaced
        return self._changed(slots, dead, inserted, self.submitted, self.clock)

    def save(self, tx: Connection, last: tuple[str, float, float] | None = None) -> None:
        """Store what `after` and `noted` have changed, and the ``last`` mutation: id and times."""
        if last is None:
            changes = {name: getattr(self, name) for name in _CHANGING}
            tx.execute(_UPDATE, {**changes, "id": self.id})
            return
        mutation_id, *times = last
        counts = (self.generation, self.slots, self.dead, self.inserted)
        # As `CHECKSUMS` has it, without a call from SQLite.
        text = checksums.time_text
        checksum = checksums.of_row(
            *(self.id, self.name, self.dimensions, self.metric, self.description),
            *(text(self.created), text(self.submitted), mutation_id, *map(text, times)),
            *(*counts, text(self.clock), self.properties),
        )
        changed = (self.submitted, *last, *counts, self.clock)
        tx.execute(_UPDATE_AFTER_MUTATION, (*changed, checksum, self.id))

    def now(self, clock: float) -> float:
        """The index's own time: the clock's, but that it never goes back.

        If the clock has been set back since the latest mutation, it goes on from there; see
        `lags`.
        """
        passed = clock - (self.submitted if self.clock is None else self.clock)
        return max(clock, self.submitted + max(0.0, passed))

    def lags(self, clock: float) -> bool:
        """Whether the clock has been set back, so that `now` stands still until it is noted."""
        return clock < (self.submitted if self.clock is None else self.clock) - _JITTER

    def noted(self, clock: float) -> Index:
        """The index after a mutation now, when the clock says that it is `now`."""
        return self._changed(self.slots, self.dead, self.inserted, self.now(clock), clock)

    def _changed(
        self, slots: int, dead: int, inserted: int, submitted: float, clock: float | None
    ) -> Index:
        """`dataclasses.replace`, but in a fifth of the time: each write does this twice."""
        return Index(
            self.id,
            self.name,
            self.dimensions,
            self.metric,
            self.description,
            self.created,
            submitted,
            self.generation,
            slots,
            dead,
            inserted,
            self.properties,
            clock,
        )

    def details(self) -> IndexDetails:
        """The index in the form that the API returns."""
        created = as_datetime(self.created)
        config = IndexConfig(self.dimensions, self.metric)
        return IndexDetails(self.name, config, self.description, created, created)


@dataclass(frozen=True, slots=True)
class LiveMetadataIndex:
    """A metadata index in force, ordered against mutations by (time, ``seq``)."""

    seq: int
    property_name: str
    index_type: IndexType
    live: float

    def covers(self, processed: float, seq: int) -> bool:
        """Whether it holds a vector of that mutation: earlier vectors are not indexed."""
        return (processed, seq) > (self.live, self.seq)

    def public(self) -> MetadataIndex:
        """The metadata index in the form that the API returns."""
        return MetadataIndex(self.property_name, self.index_type)


def is_possible(index: Index) -> bool:
    """Whether an index could ever have been such."""
    return (
        index.metric in METRICS
        and isinstance(index.dimensions, int)
        and 1 <= index.dimensions <= limits.MAX_DIMENSIONS
        and 1 <= index.id < _IDS
    )


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, float) and 0 <= seconds <= _LATEST


def as_datetime(seconds: float) -> datetime:
    """Seconds since the epoch as a datetime."""
    return datetime.fromtimestamp(seconds, UTC)


def create(
    tx: Connection, name: str, config: IndexConfig, description: str, now: float
) -> IndexDetails:
    """Create an index; its name may be that of a deleted one."""
    check_new(tx, name)
    tx.execute(
        "INSERT INTO indexes (name, dimensions, metric, description, created, submitted) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (name, config.dimensions, config.metric, description, now, now),
    )
    (index_id,) = tx.execute("SELECT last_insert_rowid()").fetchone()
    if index_id >= _IDS:
        raise faults.refused(
            f"{_IDS - 1} indexes were made here, and no more can be: copy what is there to a new "
            "directory (vectorize-stores copy)"
        )
    seal(tx, "indexes", index_id)
    tx.execute("UPDATE storage SET indexes = indexes + 1")
    return find(tx, name).details()


def check_new(tx: Connection, name: str) -> None:
    """Raise a fault if there is an index of that name."""
    if _select(tx, "WHERE name = ?", name):
        raise faults.index_exists(name)


def find(tx: Connection, name: str) -> Index:
    """The index of that name; a fault if it does not exist or was deleted."""
    found = _select(tx, "WHERE name = ?", name)
    if found:
        return found[0]
    all_indexes(tx)  # Is it gone because of damage?
    if tx.execute("SELECT 1 FROM deleted_indexes WHERE name = ?", (name,)).fetchone():
        raise faults.index_deleted(name)
    raise faults.index_not_found(name)


def is_generation(tx: Connection, index: Index) -> bool:
    """Whether this generation of ``index`` is still the current one."""
    row = tx.execute("SELECT generation FROM indexes WHERE id = ?", (index.id,)).fetchone()
    return row is not None and bool(row[0] == index.generation)


def next_generation(index: Index, count: int) -> Index:
    """The index after a compaction that leaves ``count`` vectors, in order of insertion."""
    return replace(index, generation=index.generation + 1, slots=count, dead=0, inserted=count)


def all_indexes(tx: Connection) -> list[Index]:
    """All indexes, oldest first."""
    found = _select(tx, "ORDER BY id")
    if (len(found),) != tx.execute("SELECT indexes FROM storage").fetchone():
        raise damaged("the table of indexes is")
    return found


def counted(tx: Connection, index: Index) -> Index:
    """An index whose row is damaged, with the counts that follow from its vectors.

    `restore` stores them. Times that can be none are the epoch: an index's time never goes back.
    """
    keys = (schema.key(index.id, 0), schema.key(index.id + 1, 0) - 1)
    live, last, position = tx.execute(
        "SELECT count(*), max(key), max(position) FROM vectors WHERE key BETWEEN ? AND ?", keys
    ).fetchone()
    (dead,) = tx.execute(
        "SELECT max(slot) FROM dead_slots WHERE index_id = ?", (index.id,)
    ).fetchone()
    slots = max(-1 if last is None else schema.slot(last), -1 if dead is None else dead) + 1
    inserted = 0 if position is None else position + 1
    created, submitted = (t if _is_time(t) else 0.0 for t in (index.created, index.submitted))
    return replace(
        index,
        slots=slots,
        dead=slots - live,
        inserted=inserted,
        created=created,
        submitted=submitted,
        clock=submitted,
    )


def restore(tx: Connection, index: Index) -> None:
    """Store all counts and times of an index whose row was damaged."""
    times = tx.execute(
        "SELECT last_submitted, last_processed FROM indexes WHERE id = ?", (index.id,)
    ).fetchone()
    if not all(map(_is_time, times)):
        tx.execute(
            "UPDATE indexes SET last_mutation = NULL, last_submitted = NULL, "
            "last_processed = NULL WHERE id = ?",
            (index.id,),
        )
    tx.execute("UPDATE indexes SET created = ? WHERE id = ?", (index.created, index.id))
    index.save(tx)


def generations(tx: Connection) -> set[tuple[int, int]]:
    """The ids of all indexes, each with its current generation."""
    return {(index.id, index.generation) for index in all_indexes(tx)}


def delete(tx: Connection, index: Index) -> None:
    """Delete an index with all that it holds; its name is kept as that of a deleted index."""
    tx.execute("DELETE FROM indexes WHERE id = ?", (index.id,))
    tx.execute(
        "DELETE FROM unsynced_values WHERE key BETWEEN ? AND ?",
        (schema.key(index.id, 0), schema.key(index.id + 1, 0) - 1),
    )
    tx.execute("UPDATE storage SET indexes = indexes - 1")
    tx.execute("INSERT OR IGNORE INTO deleted_indexes VALUES (?)", (index.name,))


def live_metadata_indexes(tx: Reading, index: Index, now: float) -> list[LiveMetadataIndex]:
    """The metadata indexes in force at ``now``, oldest first."""
    rows = tx.once(("metadata indexes", index.id), lambda: _metadata_indexes(tx, index))
    return [item for item, gone in rows if item.live <= now and (gone is None or gone > now)]


def wanted_properties(tx: Connection, index: Index) -> set[str]:
    """The properties that are indexed, or will be."""
    return {item.property_name for item, gone in _metadata_indexes(tx, index) if gone is None}


def add_metadata_index(
    tx: Connection, index: Index, seq: int, wanted: MetadataIndex, live: float, now: float
) -> None:
    """Index a property from ``live`` on, or from when its former index is gone, if later.

    Those that are gone ``now`` are forgotten, or each read would go over all that ever were.
    """
    ended = tx.execute(
        "DELETE FROM metadata_indexes WHERE index_id = ? AND gone <= ?", (index.id, now)
    ).rowcount
    (gone,) = tx.execute(
        "SELECT max(gone) FROM metadata_indexes WHERE index_id = ? AND property_name = ?",
        (index.id, wanted.property_name),
    ).fetchone()
    tx.execute(
        "INSERT INTO metadata_indexes VALUES (?, ?, ?, ?, ?, NULL, 0)",
        (seq, index.id, wanted.property_name, wanted.index_type, max(live, gone or 0.0)),
    )
    seal(tx, "metadata_indexes", seq)
    tx.execute("UPDATE indexes SET properties = properties + 1 - ? WHERE id = ?", (ended, index.id))
    seal(tx, "indexes", index.id)


def drop_metadata_index(tx: Connection, index: Index, property_name: str, gone: float) -> None:
    """End a property's metadata index at ``gone``, also if it is not live by then."""
    for item, ended in _metadata_indexes(tx, index):
        if item.property_name == property_name and ended is None:
            tx.execute("UPDATE metadata_indexes SET gone = ? WHERE seq = ?", (gone, item.seq))
            seal(tx, "metadata_indexes", item.seq)


def unverified(
    tx: Connection, clause: str = "ORDER BY id", *parameters: Any
) -> list[tuple[Index, bool]]:
    """Indexes as they are, each with whether its row is that which was written."""
    rows = tx.execute(f"SELECT {INDEX}, row_checksum FROM indexes {clause}", parameters)  # noqa: S608
    return [_index(*row) for row in rows]


def _index(*row: Any) -> tuple[Index, bool]:
    """The index of a row, and whether the row has its checksum."""
    *columns, clock, properties, checksum = row
    index = Index(*(*columns[:7], *columns[10:], properties, clock))
    return index, checksums.of_row(*row[:-1]) == checksum


def _select(tx: Connection, clause: str, *parameters: Any) -> list[Index]:
    found = unverified(tx, clause, *parameters)
    for index, intact in found:
        if not intact:
            raise damaged(f"the row of the index {index.name!r} is")
    return [index for index, _ in found]


def _metadata_indexes(tx: Connection, index: Index) -> list[tuple[LiveMetadataIndex, float | None]]:
    """All that are not forgotten, oldest first, each with the time at which it ends."""
    rows = tx.execute(
        f"SELECT {METADATA_INDEX}, row_checksum FROM metadata_indexes "  # noqa: S608
        "WHERE index_id = ? ORDER BY seq",
        (index.id,),
    ).fetchall()
    found = [_metadata_index(*row) for row in rows]
    for item, _, intact in found:
        if not intact:
            raise damaged(
                f"the metadata index on {item.property_name!r} of the index {index.name!r} is"
            )
    if len(found) != index.properties:
        raise damaged(f"the table of metadata indexes of the index {index.name!r} is")
    return [(item, gone) for item, gone, _ in found]


def _metadata_index(*row: Any) -> tuple[LiveMetadataIndex, float | None, bool]:
    """A metadata index, when it ends, and whether its row has its checksum."""
    seq, _, property_name, index_type, live, gone, checksum = row
    intact = checksums.of_row(*row[:-1]) == checksum
    return LiveMetadataIndex(seq, property_name, index_type, live), gone, intact


def seal(tx: Connection, table: str, row: int) -> None:
    """Give a row that was written its checksum."""
    tx.execute(
        f"UPDATE {table} SET row_checksum = {CHECKSUMS[table]} WHERE rowid = ?",  # noqa: S608
        (row,),
    )
