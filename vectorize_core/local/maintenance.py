"""Maintenance of an embedded Vectorize: statistics, compaction, checks and repairs."""

import logging
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from sqlite3 import Connection

from vectorize_core import jsontext
from vectorize_core.local import catalog, compaction, integrity, repairing, salvage, schema
from vectorize_core.local.catalog import Index
from vectorize_core.local.integrity import CheckReport, Finding
from vectorize_core.local.repairing import BeyondRepairError, Repair
from vectorize_core.local.row_types import CODES, FLOAT_BYTES
from vectorize_core.local.storage import (
    FILE_NAME,
    Database,
    FileMissingError,
    StorageError,
    is_damage,
    missing_database,
)
from vectorize_core.local.vectors import VectorRow
from vectorize_core.sqlite.explaining import RESTORE

_log = logging.getLogger(__name__)


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
    code_bytes: int
    """The size of its codes for faster searches, which can be made again; 0 if there are none."""


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
                    _code_bytes(database, index),
                )
                for index in catalog.all_indexes(tx)
            ),
            size,
        )


def _code_bytes(database: Database, index: Index) -> int:
    store = database.value_stores.store(index.id, index.generation, index.dimensions, CODES)
    return min(index.slots, store.readable()) * store.row_bytes


def check(database: Database, *, repair: bool) -> CheckReport:
    """Check everything, and repair what can be if asked to."""
    if database.directory is None:
        return _repaired(database) if repair else _checked(database)
    database.check_place()
    problem = missing_database(database.directory)
    if problem is not None:
        return CheckReport(0, (Finding(None, problem),))
    repair = repair and database.exists()
    refused = _refused(Database(database.directory))
    if repair and refused is not None:
        salvage.mend_header(database.directory)
    inspected = Database(database.directory, inspecting=True)
    try:
        report = _repaired(inspected) if repair else _checked(inspected)
        if refused is None or not report.ok or report.findings:
            return report
        if repair:
            with inspected.writing() as tx:
                schema.count_commit(tx)
        return replace(report, findings=(Finding(None, refused, repaired=repair),))
    except StorageError as error:
        if not is_damage(error):
            raise
        cure = "It is beyond repair: restore it" if repair else "Restore it, or try --repair"
        return CheckReport(0, (Finding(None, str(error).replace(RESTORE, cure)),))
    finally:
        inspected.close()


def _refused(database: Database) -> str | None:
    """Why a database cannot be opened because of damage to SQLite's file; None if it can."""
    try:
        with database.reading():
            return None
    except StorageError as error:
        return str(error) if is_damage(error) else None
    finally:
        database.close()


def _checked(database: Database) -> CheckReport:
    while True:
        # Else what is missing was compacted or deleted meanwhile, or it is a file of codes.
        with suppress(FileMissingError):
            with database.reading() as tx:
                before, report = _generations(tx), integrity.check(tx, database.value_stores)
            with database.reading() as tx:
                if report.ok or _generations(tx) == before:
                    break
    if database.lost_commits is None:
        return report
    return replace(report, findings=(Finding(None, database.lost_commits), *report.findings))


def _generations(tx: Connection) -> set[tuple[int, int]]:
    return {(index.id, index.generation) for index, _ in catalog.unverified(tx)}


def _repaired(database: Database) -> CheckReport:
    salvaged: list[Finding] = []
    with database.reading():
        foreign = database.note is not None and database.note.foreign(database.value_stores.token)
    if foreign:
        # Whichever is wrong, a repair would make it worse.
        return _checked(database)
    try:
        done = _repair(database)
    except (BeyondRepairError, StorageError) as error:
        if database.directory is None or not is_damage(error):
            raise
        salvaged = salvage.rebuild(database)
        done = _repair(database, rebuilt=True)
    for index in done.replaced:
        database.value_stores.remove(index.id, index.generation, index.dimensions)
    report = done.report()
    return replace(report, findings=(*salvaged, *report.findings))


def _restore_token(database: Database, tx: Connection) -> None:
    """Give the database the token that the note of its commits has, if a letter is damaged."""
    if database.note is not None and schema.token(tx) != database.note.token:
        tx.execute("UPDATE storage SET token = ?", (database.note.token,))
        database.value_stores.token = database.note.token


def _repair(database: Database, *, rebuilt: bool = False) -> Repair:
    with database.writing() as tx:
        _restore_token(database, tx)
        aside: list[str] = []
        if database.lost_commits is not None:
            # Before anything is written under the names of these files.
            # The rows of indexes have no checksums yet where the database was rebuilt.
            known = (
                catalog.unverified(tx) if rebuilt else [(i, True) for i in catalog.all_indexes(tx)]
            )
            aside = database.value_stores.set_aside({(i.id, i.generation) for i, _ in known})
        done = repairing.repair(tx, database.value_stores)
        _keep_removed(database, done.removed)
        before = {(index.id, index.generation) for index in done.replaced}
        current = catalog.generations(tx) | before
        if done.lacks_indexes:
            aside += database.value_stores.set_aside(current)
        if database.lost_commits is None:
            database.value_stores.sweep(current)
            done.findings += _set_aside(aside)
            return done
        # This accepts what is there: the number of commits goes on from here.
        schema.count_commit(tx)
        done.findings.insert(0, Finding(None, database.lost_commits, repaired=True))
        done.findings += _set_aside(aside)
    return done


def _keep_removed(database: Database, rows: list[VectorRow]) -> None:
    """Write down the records that a repair removes, for their metadata can hold their texts."""
    if rows and database.directory is not None:
        place = database.directory / f"removed-{secrets.token_hex(4)}.jsonl"
        place.write_bytes(
            b"".join(
                jsontext.dumps(
                    {"id": row.id, "namespace": row.namespace, "metadata": row.parsed_metadata()}
                )
                + b"\n"
                for row in rows
            )
        )
        _log.warning("what was kept with %d vectors without values is in %s", len(rows), place)


def _set_aside(names: list[str]) -> list[Finding]:
    return [
        Finding(None, f"{name} is of what is lost, and is now set-aside-{name}", repaired=True)
        for name in names
    ]


def compact(database: Database, name: str) -> int:
    """Compact an index and delete files that are not used; returns how many slots were freed."""
    with database.writing() as tx:
        index = catalog.find(tx, name)
        database.value_stores.sweep(catalog.generations(tx))
        following = compaction.compact(tx, database.value_stores, index)
    if following is not index:
        database.value_stores.remove(index.id, index.generation, index.dimensions)
    return index.slots - following.slots


def vacuum(database: Database) -> None:
    """Return unused space of the database to the file system.

    A failure is only logged: the compaction that this follows is done.
    """
    try:
        database.vacuum()
    except StorageError as error:
        _log.warning("after a compaction the database could not be made smaller: %s", error)


def tidy(database: Database, index: Index) -> None:
    """Compact an index if more than half of it is dead, and that is much.

    A failure is only logged: the write that this follows is done.
    """
    if compaction.is_wasteful(index):
        try:
            compact(database, index.name)
        except StorageError as error:
            _log.warning("the index %r was not compacted after a write: %s", index.name, error)
