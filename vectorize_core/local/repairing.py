"""Repairs of what a check finds. Nothing is deleted that could still be of use."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from sqlite3 import IntegrityError
from typing import Any, Final

import numpy as np

from vectorize_core.local import (
    catalog,
    checksums,
    codes,
    compaction,
    comparing,
    flipped_bits,
    schema,
    unsynced,
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
    orphans,
    wrong_codes,
)
from vectorize_core.local.row_types import CODES
from vectorize_core.local.schema import key
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.local.vectors import VectorRow
from vectorize_core.sqlite.connecting import Connection

_FLIPPED: Final = 20
"""The most vectors of an index that are taken to have a flipped bit each."""
_NUMBER_BITS: Final = 63
"""Of a key or a position."""
_COLUMNS: Final = {
    "indexes": "id name dimensions metric description created submitted last_mutation "
    "last_submitted last_processed generation slots dead inserted clock properties",
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
    removed: list[VectorRow] = field(default_factory=list)
    """Intact records that were removed because their values are lost."""
    lacks_indexes: bool = False
    """Whether rows of indexes are gone, whose values may still be there."""

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
    _move_back(tx, done)
    for index, intact in catalog.unverified(tx):
        _repair_index(tx, value_stores, index, intact=intact, done=done)
    for table in ("mutation_rows", "mutations", "metadata_indexes"):
        for row in damaged_rows(tx, table):
            done.findings.append(_remove(tx, table, row))
    _remove_orphans(tx, done)
    schema.outnumber(tx)
    if damaged := damaged_rows(tx, "unsynced_values"):
        # The files have what the log had: they were compared.
        unsynced.sync(tx, value_stores)
        problem = f"{len(damaged)} rows of unsynced_values are damaged"
        done.findings.append(Finding(None, problem, repaired=True))
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
        done.lacks_indexes = wanted > len(rows)
        problem = f"there are {len(rows)} indexes, and there should be {wanted}"
        done.findings.append(Finding(None, problem, repaired=not done.lacks_indexes))


def _flip_back(tx: Connection, table: str, row: int) -> bool:
    names = _COLUMNS[table].split()
    *columns, checksum = tx.execute(
        f"SELECT {', '.join(names)}, row_checksum FROM {table} WHERE rowid = ?",  # noqa: S608
        (row,),
    ).fetchone()
    if (checksums.of_row(*columns) ^ checksum).bit_count() == 1:
        found: tuple[Any, ...] | None = tuple(columns)
    else:
        found = flipped_bits.in_columns(columns, checksum)
    if found is None:
        return False
    setting = ", ".join(f"{name} = ?" for name in names)
    try:
        tx.execute(f"UPDATE {table} SET {setting} WHERE rowid = ?", (*found, row))  # noqa: S608
    except IntegrityError:
        return False
    tx.execute(
        f"UPDATE {table} SET row_checksum = ? WHERE {names[0]} = ?",  # noqa: S608
        (checksums.of_row(*found), found[0]),
    )
    return True


def _remove_orphans(tx: Connection, done: Repair) -> None:
    """Remove what names an index or a mutation that is gone; but vectors are kept."""
    tx.execute("DELETE FROM dead_slots WHERE index_id NOT IN (SELECT id FROM indexes)")
    for table, row, *_ in tx.execute("PRAGMA foreign_key_check").fetchall():
        if table != "vectors":
            done.findings.append(_remove(tx, table, row))
    done.findings += orphans(tx)


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


def _move_back(tx: Connection, done: Repair) -> None:
    """Restore keys of vectors, and so their slots, that have a flipped bit."""
    damaged = [row for row in vectors.every(tx) if not row.intact]
    for row in damaged if len(damaged) <= _FLIPPED else ():
        moved = (row._replace(key=row.key ^ 1 << bit) for bit in range(_NUMBER_BITS))
        sound = next((candidate for candidate in moved if candidate.intact), None)
        if sound is not None:
            with suppress(IntegrityError):
                tx.execute("UPDATE vectors SET key = ? WHERE key = ?", (sound.key, row.key))
                problem = f"the place of {row.id!r} had a flipped bit"
                done.findings.append(Finding(None, problem, repaired=True))


def _repair_index(
    tx: Connection, value_stores: ValueStores, index: Index, *, intact: bool, done: Repair
) -> None:
    if not intact:
        problem = f"the row of the index is damaged: {index}"
        if not catalog.is_possible(index):
            done.findings.append(Finding(index.name, problem))
            return
        index = catalog.counted(tx, index)
    damage = comparing.examine(tx, value_stores, index)
    done.vectors += index.count
    if not intact:
        if index.count and len(damage.damaged) == index.count:
            # It is the row that is wrong: what it says of the values.
            done.findings.append(Finding(index.name, problem))
            return
        catalog.restore(tx, index)
        done.findings.append(
            Finding(index.name, f"{problem}. Its counts are made anew", repaired=True)
        )
    if damage.wrong_codes:
        done.findings.append(wrong_codes(damage, repaired=True))
    if intact and not damage:
        _restore_codes(value_stores, damage)
        return
    values, lost = _restore(tx, damage)
    done.removed += [row for row in lost if row.intact]
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


def _restore_codes(value_stores: ValueStores, damage: IndexDamage) -> None:
    """Make codes again; if an index moves, that does so."""
    index, wrong = damage.index, np.array(damage.wrong_codes, np.int64)
    values = value_stores.unshared(index.id, index.generation, index.dimensions)
    store = value_stores.unshared(index.id, index.generation, index.dimensions, CODES)
    codes.make_again(store, wrong, values.matrix(index.slots))


def _restore(tx: Connection, damage: IndexDamage) -> tuple[dict[int, bytes], list[VectorRow]]:
    """Restore what one flipped bit explains: values by slot; and the rows that are lost."""
    values: dict[int, bytes] = {}
    lost = []
    # In many rows at once no bit has flipped; and one of many could seem to have by chance.
    few = len(damage.damaged) <= _FLIPPED
    for row, found in damage.damaged:
        sound = row if row.intact else _flipped_back(row) if few else None
        data = None if sound is None or found is None else vectors.packed(found)
        if sound is not None and (data is None or checksums.of_values(data) != sound.checksum):
            there = unsynced.logged(tx, sound.key, sound.checksum)
            if there is None and data is not None and few:
                there = flipped_bits.in_bytes(data, sound.checksum)
            data = there
        if sound is None or data is None:
            lost.append(row)
            continue
        values[row.slot] = data
        tx.execute("DELETE FROM vectors WHERE key = ?", (row.key,))
        vectors.add(tx, [sound])
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
    moved = (row._replace(position=row.position ^ 1 << bit) for bit in range(_NUMBER_BITS))
    return next((candidate for candidate in moved if candidate.intact), None)
