"""Repairs of what a check finds. Nothing is deleted that could still be of use."""

from __future__ import annotations

from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, Final

from vectorize_core import models
from vectorize_core.local import (
    catalog,
    checksums,
    compaction,
    comparing,
    flipped_bits,
    vectors,
)
from vectorize_core.local.catalog import Index
from vectorize_core.local.comparing import IndexDamage
from vectorize_core.local.integrity import (
    CheckReport,
    Finding,
    damaged_rows,
    database_problems,
    foreign_file,
    losses,
)
from vectorize_core.local.schema import SLOT_BITS, key
from vectorize_core.local.value_store import ValueStores
from vectorize_core.local.vectors import VectorRow

_FLIPPED: Final = 20
"""The most vectors of an index that are taken to have a flipped bit each."""
_COLUMNS: Final = {
    "indexes": "id name dimensions metric description created generation slots dead "
    "inserted properties",
    "metadata_indexes": "seq index_id property_name index_type live gone",
    "mutations": "seq index_id mutation_id kind submitted processed visible",
}


class BeyondRepairError(Exception):
    """SQLite's file itself is damaged, so that no statement can repair it."""


@dataclass(slots=True)
class Repair:
    """What a repair has done."""

    vectors: int = 0
    findings: list[Finding] = field(default_factory=list)
    replaced: list[Index] = field(default_factory=list)
    """Indexes as they were, whose former generations can be removed after the commit."""

    def report(self) -> CheckReport:
        """What it has found."""
        return CheckReport(self.vectors, tuple(self.findings))


def repair(tx: Connection, value_stores: ValueStores) -> Repair:
    """`integrity.check`, and repair what can be. `BeyondRepairError`.

    What one flipped bit explains is restored. Vectors that are lost are removed, and a damaged
    index moves to a new generation.
    """
    done = Repair()
    _rebuild_sqlite_indexes(tx, done)
    for table in _COLUMNS:
        for row in damaged_rows(tx, table):
            if _flip_back(tx, table, row):
                done.findings.append(
                    Finding(None, f"a row of {table} had a flipped bit", repaired=True)
                )
    _recount(tx, done)
    for index, intact in catalog.unverified(tx).items():
        _repair_index(tx, value_stores, index, intact=intact, done=done)
    for table in ("mutation_rows", "mutations", "metadata_indexes"):
        for row in damaged_rows(tx, table):
            done.findings.append(_remove(tx, table, row))
    done.findings += [Finding(None, foreign_file(name)) for name in value_stores.unknown()]
    return done


def _rebuild_sqlite_indexes(tx: Connection, done: Repair) -> None:
    problems = database_problems(tx)
    if not problems:
        return
    # An upsert that did not find an id has written it twice; the later one is the one to keep.
    tx.execute(
        "DELETE FROM vectors WHERE key NOT IN "
        "(SELECT max(key) FROM vectors NOT INDEXED GROUP BY index_id, id)"
    )
    tx.execute("REINDEX")
    if database_problems(tx):
        raise BeyondRepairError
    done.findings += [Finding(None, problem, repaired=True) for problem in problems]


def _recount(tx: Connection, done: Repair) -> None:
    """Take the metadata indexes and indexes that are there for all that there were."""
    rows = tx.execute(
        "SELECT id, name, properties, (SELECT count(*) FROM metadata_indexes WHERE index_id = id) "
        "FROM indexes"
    ).fetchall()
    for index_id, name, wanted, there in rows:
        if there != wanted:
            tx.execute("UPDATE indexes SET properties = ? WHERE id = ?", (there, index_id))
            catalog.seal(tx, "indexes", index_id)
            problem = f"{wanted - there} metadata indexes are gone: create them again"
            done.findings.append(Finding(name, problem, repaired=True))
    (wanted,) = tx.execute("SELECT indexes FROM storage").fetchone()
    if wanted != len(rows):
        tx.execute("UPDATE storage SET indexes = ?", (len(rows),))
        done.findings.append(Finding(None, f"{wanted - len(rows)} indexes are gone"))


def _flip_back(tx: Connection, table: str, row: int) -> bool:
    names = _COLUMNS[table].split()
    *columns, checksum = tx.execute(
        f"SELECT {', '.join(names)}, row_checksum FROM {table} WHERE rowid = ?",  # noqa: S608
        (row,),
    ).fetchone()
    found = flipped_bits.in_columns(columns, checksum)
    if found is None or found[0] != columns[0]:
        return False
    setting = ", ".join(f"{name} = ?" for name in names)
    tx.execute(f"UPDATE {table} SET {setting} WHERE rowid = ?", (*found, row))  # noqa: S608
    return True


def _remove(tx: Connection, table: str, row: int) -> Finding:
    """Remove a row that cannot be restored, and say what is lost by that."""
    lost: tuple[Any, ...] = ()
    what = f"a row of {table} was damaged and is removed"
    if table == "metadata_indexes":
        (name,) = tx.execute(
            "SELECT property_name FROM metadata_indexes WHERE rowid = ?", (row,)
        ).fetchone()
        what = f"the metadata index on {name!r} was damaged and is removed: create it again"
    elif table == "mutation_rows":
        lost = tx.execute("SELECT id FROM mutation_rows WHERE rowid = ?", (row,)).fetchone()
    else:
        rows = tx.execute("SELECT id FROM mutation_rows WHERE seq = ?", (row,))
        lost = tuple(name for (name,) in rows)
    tx.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))  # noqa: S608
    if table == "metadata_indexes":
        _recount(tx, Repair())
    return Finding(None, what, lost, repaired=True)


def _repair_index(
    tx: Connection, value_stores: ValueStores, index: Index, *, intact: bool, done: Repair
) -> None:
    if not intact:
        problem = f"the row of the index is damaged: {index}"
        if index.metric not in models.METRICS:
            done.findings.append(Finding(index.name, problem))
            return
        index = catalog.counted(tx, index)
        done.findings.append(
            Finding(index.name, f"{problem}. Its counts are made anew", repaired=True)
        )
    damage = comparing.examine(tx, value_stores, index, intact=True)
    done.vectors += index.count
    if intact and not damage:
        return
    values, lost = _restore(tx, damage)
    tx.executemany("DELETE FROM vectors WHERE key = ?", ((row.key,) for row in lost))
    # Rows whose slots do not exist are deleted; all others are moved.
    tx.execute(
        "DELETE FROM vectors WHERE index_id = ? AND key NOT BETWEEN ? AND ?",
        (index.id, key(index.id, 0), key(index.id, index.slots) - 1),
    )
    compaction.move(tx, value_stores, index, values)
    done.replaced.append(index)
    done.findings += [Finding(index.name, p, repaired=True) for p in damage.problems]
    restored = len(damage.damaged) - len(lost)
    if restored:
        problem = f"{restored} vectors had a flipped bit and are restored"
        done.findings.append(Finding(index.name, problem, repaired=True))
    done.findings += losses(index.name, lost, repaired=True)


def _restore(tx: Connection, damage: IndexDamage) -> tuple[dict[int, bytes], list[VectorRow]]:
    """Restore what one flipped bit explains: values by slot; and the rows that are lost."""
    values: dict[int, bytes] = {}
    lost = []
    # In many rows at once no bit has flipped; and one of many could seem to have by chance.
    few = len(damage.damaged) <= _FLIPPED
    for row, found in damage.damaged:
        sound = row if row.intact else _flipped_back(row) if few else None
        data = None if sound is None or found is None else vectors.packed(found)
        if sound is not None and data is not None and checksums.of_values(data) != sound.checksum:
            data = flipped_bits.in_bytes(data, sound.checksum) if few else None
        if sound is None or data is None:
            lost.append(row)
            continue
        values[row.slot] = data
        tx.execute("DELETE FROM vectors WHERE key = ?", (row.key,))
        vectors.put(tx, [sound])
    return values, lost


def _flipped_back(row: VectorRow) -> VectorRow | None:
    """The intact row that differs from a damaged one in one bit; None if there is none."""
    sound = row.own_checksum()
    if isinstance(row.row_checksum, int) and (sound ^ row.row_checksum).bit_count() == 1:
        return row._replace(row_checksum=sound)
    columns = flipped_bits.in_columns(
        row.columns(), checksums.placed(row.row_checksum, row.key, row.position)
    )
    if columns is not None:
        index_id, vector_id, seq, processed, namespace, metadata, checksum = columns
        return row._replace(
            index_id=index_id,
            id=vector_id,
            seq=seq,
            processed=processed,
            namespace=namespace,
            metadata=metadata,
            checksum=checksum,
        )
    moved = (row._replace(position=row.position ^ 1 << bit) for bit in range(SLOT_BITS))
    return next((candidate for candidate in moved if candidate.intact), None)
