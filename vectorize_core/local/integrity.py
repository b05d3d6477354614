"""Whether what is stored is what was written, and what can be done where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from sqlite3 import Connection
from typing import Final

import numpy as np

from vectorize_core.local import catalog, compaction, vectors
from vectorize_core.local.catalog import Index
from vectorize_core.local.schema import checksum, key
from vectorize_core.local.value_store import FLOAT_BYTES, ValueStores

_CHUNK: Final = 1 << 24
"""Bytes of values that are read at once."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    index: str | None
    """The index that has it; None for the database as a whole."""
    problem: str
    lost: tuple[str, ...] = ()
    """The ids of vectors whose values are gone: the rest of them is there until a repair."""
    repaired: bool = False
    """Whether it is no more: lost vectors have then been taken out of the index."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check has found."""

    vectors: int
    """How many vectors were read and compared with their checksums."""
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it was written, or is again as far as it can be."""
        return all(finding.repaired for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _IndexDamage:
    """One index: what is wrong with it, and the keys of what is lost."""

    index: Index
    problems: list[str]
    lost: dict[int, str]


def check(tx: Connection, value_stores: ValueStores) -> CheckReport:
    """Read everything and compare; changes nothing."""
    findings = [Finding(None, problem) for problem in _database_problems(tx)]
    count = 0
    for index in catalog.all_indexes(tx):
        examined = _examine(tx, value_stores, index)
        findings += _findings(examined, repaired=False)
        count += index.count
    return CheckReport(count, tuple(findings))


def repair(tx: Connection, value_stores: ValueStores) -> tuple[CheckReport, list[Index]]:
    """`check`, and mend what can be; also the indexes whose former place is to be removed.

    Vectors whose values are gone are taken out of their index. What is wrong with an index ends
    with a new generation of it, as a compaction makes.
    """
    findings = []
    problems = _database_problems(tx)
    if problems:
        tx.execute("REINDEX")
        left = _database_problems(tx)
        findings = [Finding(None, problem, repaired=not left) for problem in problems]
    count, former = 0, []
    for index in catalog.all_indexes(tx):
        examined = _examine(tx, value_stores, index)
        count += index.count
        if examined.problems or examined.lost:
            _repair_index(tx, value_stores, examined)
            former.append(index)
        findings += _findings(examined, repaired=True)
    return CheckReport(count, tuple(findings)), former


def _database_problems(tx: Connection) -> list[str]:
    said = [text for (text,) in tx.execute("PRAGMA integrity_check") if text != "ok"]
    said += [
        f"a row of {table} belongs to nothing"
        for table, *_ in tx.execute("PRAGMA foreign_key_check")
    ]
    return said


def _examine(tx: Connection, value_stores: ValueStores, index: Index) -> _IndexDamage:
    store = value_stores.unshared(index.id, index.generation, index.dimensions)
    readable = min(index.slots, store.readable())
    matrix = store.matrix(readable)
    problems, lost, seen = [], {}, []
    for some in _chunks(
        vectors.scan(tx, index), max(1, _CHUNK // (index.dimensions * FLOAT_BYTES))
    ):
        slots = np.array([stored.slot for stored in some])
        seen.append(slots)
        there = int(np.searchsorted(slots, readable))
        values = matrix.take(slots[:there])
        for n, stored in enumerate(some):
            if n >= there or checksum(values[n].data) != stored.checksum:
                lost[stored.key] = stored.id
    if readable < index.slots:
        problems.append(f"the file holds {readable} of {index.slots} slots")
    live = np.concatenate(seen) if seen else np.empty(0, np.int64)
    dead = np.array(vectors.dead_slots(tx, index), np.int64)
    both = np.sort(np.concatenate([live, dead]))
    if not np.array_equal(both, np.arange(index.slots)) or len(dead) != index.dead:
        problems.append(
            f"of {index.slots} slots {len(live)} hold a vector and {len(dead)} are given as dead"
        )
    return _IndexDamage(index, problems, lost)


def _findings(examined: _IndexDamage, *, repaired: bool) -> Iterator[Finding]:
    name = examined.index.name
    for problem in examined.problems:
        yield Finding(name, problem, repaired=repaired)
    if examined.lost:
        problem = f"the values of {len(examined.lost)} vectors are damaged or gone"
        yield Finding(name, problem, tuple(examined.lost.values()), repaired)


def _repair_index(tx: Connection, value_stores: ValueStores, examined: _IndexDamage) -> None:
    index = examined.index
    tx.executemany("DELETE FROM vectors WHERE key = ?", ((lost,) for lost in examined.lost))
    # What lies outside of all slots is not to be had; what lies inside is moved, in its order.
    tx.execute(
        "DELETE FROM vectors WHERE index_id = ? AND key NOT BETWEEN ? AND ?",
        (index.id, key(index.id, 0), key(index.id, index.slots) - 1),
    )
    compaction.move(tx, value_stores, index)


def _chunks(rows: Iterator[vectors.VectorRow], size: int) -> Iterator[list[vectors.VectorRow]]:
    while some := list(islice(rows, size)):
        yield some
