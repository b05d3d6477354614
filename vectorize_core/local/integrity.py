"""Comparing all that is stored with its checksums, and repairing what is damaged."""

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
    """A problem that was found."""

    index: str | None
    """The name of the index; None if it is a problem of the database as a whole."""
    problem: str
    lost: tuple[str, ...] = ()
    """The ids of vectors whose values are lost. A repair removes them from the index."""
    repaired: bool = False
    """Whether the problem was repaired."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    vectors: int
    """How many vectors were read and compared with their checksums."""
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no problems, or all were repaired."""
        return all(finding.repaired for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _IndexDamage:
    """The problems of one index, and the vectors whose values are lost: ids by key."""

    index: Index
    problems: list[str]
    lost: dict[int, str]


def check(tx: Connection, value_stores: ValueStores) -> CheckReport:
    """Read and compare everything; changes nothing."""
    findings = [Finding(None, problem) for problem in _database_problems(tx)]
    count = 0
    for index in catalog.all_indexes(tx):
        damage = _examine(tx, value_stores, index)
        findings += _findings(damage, repaired=False)
        count += index.count
    return CheckReport(count, tuple(findings))


def repair(tx: Connection, value_stores: ValueStores) -> tuple[CheckReport, list[Index]]:
    """`check`, and repair what can be.

    Vectors whose values are lost are removed, and a damaged index moves to a new generation. Also
    returns the indexes as they were, whose former generations can be removed after the commit.
    """
    findings = []
    problems = _database_problems(tx)
    if problems:
        tx.execute("REINDEX")
        left = _database_problems(tx)
        findings = [Finding(None, problem, repaired=not left) for problem in problems]
    count, replaced = 0, []
    for index in catalog.all_indexes(tx):
        damage = _examine(tx, value_stores, index)
        count += index.count
        if damage.problems or damage.lost:
            _repair_index(tx, value_stores, damage)
            replaced.append(index)
        findings += _findings(damage, repaired=True)
    return CheckReport(count, tuple(findings)), replaced


def _database_problems(tx: Connection) -> list[str]:
    problems = [text for (text,) in tx.execute("PRAGMA integrity_check") if text != "ok"]
    problems += [
        f"a row of {table} belongs to nothing"
        for table, *_ in tx.execute("PRAGMA foreign_key_check")
    ]
    return problems


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


def _findings(damage: _IndexDamage, *, repaired: bool) -> Iterator[Finding]:
    name = damage.index.name
    for problem in damage.problems:
        yield Finding(name, problem, repaired=repaired)
    if damage.lost:
        problem = f"the values of {len(damage.lost)} vectors are damaged or gone"
        yield Finding(name, problem, tuple(damage.lost.values()), repaired)


def _repair_index(tx: Connection, value_stores: ValueStores, damage: _IndexDamage) -> None:
    index = damage.index
    tx.executemany("DELETE FROM vectors WHERE key = ?", ((lost,) for lost in damage.lost))
    # Rows whose slots do not exist are deleted; all others are moved.
    tx.execute(
        "DELETE FROM vectors WHERE index_id = ? AND key NOT BETWEEN ? AND ?",
        (index.id, key(index.id, 0), key(index.id, index.slots) - 1),
    )
    compaction.move(tx, value_stores, index)


def _chunks(rows: Iterator[vectors.VectorRow], size: int) -> Iterator[list[vectors.VectorRow]]:
    while some := list(islice(rows, size)):
        yield some
