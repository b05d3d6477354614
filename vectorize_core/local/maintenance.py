"""Maintenance of an embedded Vectorize: statistics, compaction, checks and repairs."""

import os
from dataclasses import dataclass

from vectorize_core.local import catalog, compaction, integrity
from vectorize_core.local.catalog import Index
from vectorize_core.local.integrity import CheckReport
from vectorize_core.local.storage import FILE_NAME, Database
from vectorize_core.local.value_store import FLOAT_BYTES


@dataclass(frozen=True, slots=True)
class IndexStats:
    """How much an index holds, and how much of it is obsolete."""

    name: str
    dimensions: int
    vectors: int
    dead_slots: int
    """Slots that `compact` would free."""
    generation: int
    """How often the index has been compacted."""
    value_bytes: int
    """The size of its values, those of dead slots included."""


@dataclass(frozen=True, slots=True)
class Stats:
    """How much an embedded Vectorize holds."""

    indexes: tuple[IndexStats, ...]
    database_bytes: int
    """The size of the SQLite file with its log; 0 in memory."""


def stats(database: Database) -> Stats:
    """The statistics of all indexes, oldest first."""
    size = 0
    if database.directory is not None:
        files = [database.directory / f"{FILE_NAME}{suffix}" for suffix in ("", "-wal")]
        size = sum(os.stat(file).st_size for file in files if file.exists())
    with database.reading() as tx:
        return Stats(
            tuple(
                IndexStats(
                    index.name,
                    index.dimensions,
                    index.count,
                    index.dead,
                    index.generation,
                    index.slots * index.dimensions * FLOAT_BYTES,
                )
                for index in catalog.all_indexes(tx)
            ),
            size,
        )


def check(database: Database, *, repair: bool) -> CheckReport:
    """Check everything, and repair what can be if asked to."""
    if not repair:
        with database.reading() as tx:
            return integrity.check(tx, database.value_stores)
    with database.writing() as tx:
        database.value_stores.sweep(catalog.generations(tx))
        report, replaced = integrity.repair(tx, database.value_stores)
    for index in replaced:
        database.value_stores.remove(index.id, index.generation, index.dimensions)
    return report


def compact(database: Database, name: str) -> int:
    """Compact an index and delete files that are not used; returns how many slots were freed."""
    with database.writing() as tx:
        index = catalog.find(tx, name)
        database.value_stores.sweep(catalog.generations(tx))
        following = compaction.compact(tx, database.value_stores, index)
    if following is not index:
        database.value_stores.remove(index.id, index.generation, index.dimensions)
    return index.slots - following.slots


def tidy(database: Database, index: Index) -> None:
    """Compact an index if more than half of it is dead, and that is much."""
    if compaction.is_wasteful(index):
        compact(database, index.name)
