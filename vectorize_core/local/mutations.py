"""Mutations: accepted at once, processed and visible later, always in order.

The times of a mutation are fixed when it is submitted, so that a restart does not change them. A
mutation without delays is applied in the transaction that submits it, and is not stored.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from vectorize_core.behavior import Behavior
from vectorize_core.local import schema, vectors
from vectorize_core.local.batch import Batch
from vectorize_core.local.catalog import Index
from vectorize_core.local.checksums import damaged
from vectorize_core.local.schema import CHECKSUMS
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.sqlite.connecting import Connection


@dataclass(frozen=True, slots=True)
class AcceptedMutation:
    """A mutation: its place in the order, its public id, its time, and the index after it.

    ``is_last`` if no mutation is pending any more.
    """

    seq: int
    mutation_id: str
    submitted: float
    index: Index
    is_last: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """The last processed mutation with its times, and how many vectors there were after it."""

    mutation_id: str | None
    submitted: float | None
    processed: float | None
    vector_count: int


def submit(
    tx: Connection,
    value_stores: ValueStores,
    index: Index,
    kind: vectors.Kind,
    batch: Batch,
    *,
    now: float,
    behavior: Behavior,
    after_others: bool,
) -> AcceptedMutation:
    """Accept a mutation of an index to which `apply_due` was applied.

    ``after_others`` if any is pending.
    """
    processed = now + behavior.process_delay
    visible = processed + behavior.propagate_delay
    if after_others:
        earlier = tx.execute(
            "SELECT max(processed), max(visible) FROM mutations WHERE index_id = ?", (index.id,)
        ).fetchone()
        processed, visible = max(processed, earlier[0] or 0.0), max(visible, earlier[1] or 0.0)
    mutation_id = _new_id()
    # A transaction submits one mutation, so the number of its commit is unique, and in order.
    seq = schema.next_commit(tx)
    is_done = visible <= now
    if is_done:
        index = vectors.apply(tx, value_stores, index, kind, batch, seq=seq, processed=processed)
        index.save(tx, (mutation_id, now, processed))
    else:
        index.save(tx)
        tx.execute(
            "INSERT INTO mutations VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            (seq, index.id, mutation_id, kind, now, processed, visible),
        )
        tx.executemany(
            "INSERT INTO mutation_rows VALUES (?, ?, ?, ?, ?, ?, 0)",
            ((seq, position, *vector) for position, vector in enumerate(batch.stored())),
        )
        for table in ("mutations", "mutation_rows"):
            tx.execute(
                f"UPDATE {table} SET row_checksum = {CHECKSUMS[table]} WHERE seq = ?",  # noqa: S608
                (seq,),
            )
    return AcceptedMutation(seq, mutation_id, now, index, is_done and not after_others)


def _new_id() -> str:
    """A random UUID of version 4, as `uuid.uuid4` makes one in four times the time."""
    x = os.urandom(16).hex()
    return f"{x[:8]}-{x[8:12]}-4{x[13:16]}-{'89ab'[int(x[16], 16) % 4]}{x[17:20]}-{x[20:]}"


def any_pending(tx: Connection, index: Index) -> bool:
    """Whether any mutation is not visible yet."""
    found = tx.execute("SELECT 1 FROM mutations WHERE index_id = ? LIMIT 1", (index.id,))
    return found.fetchone() is not None


def any_older(tx: Connection, index: Index, time: float) -> bool:
    """Whether any mutation is not visible yet that was processed by a time."""
    found = tx.execute(
        "SELECT 1 FROM mutations WHERE index_id = ? AND processed <= ? LIMIT 1", (index.id, time)
    )
    return found.fetchone() is not None


def count_pending(tx: Connection, index: Index) -> int:
    """How many mutations are not visible yet."""
    found = tx.execute("SELECT count(*) FROM mutations WHERE index_id = ?", (index.id,))
    return int(found.fetchone()[0])


def pending_ids(tx: Connection, index: Index, wanted: Collection[str]) -> frozenset[str]:
    """Those of these ids that mutations have which are not visible yet, deletes too."""
    rows = tx.execute(
        "SELECT r.id FROM mutations m JOIN mutation_rows r ON r.seq = m.seq WHERE m.index_id = ?",
        (index.id,),
    )
    return frozenset(wanted).intersection(name for (name,) in rows)


def any_due(tx: Connection, index: Index, now: float) -> bool:
    """Whether `apply_due` has anything to do."""
    return bool(_due(tx, index, now))


def apply_due(tx: Connection, value_stores: ValueStores, index: Index, now: float) -> Index:
    """Apply the mutations that are to be visible by now. Returns the changed index."""
    for seq, kind, mutation_id, submitted, processed in _due(tx, index, now):
        rows = tx.execute(
            "SELECT id, namespace, metadata, data, "  # noqa: S608
            f"row_checksum = {CHECKSUMS['mutation_rows']} "
            "FROM mutation_rows WHERE seq = ? ORDER BY position",
            (seq,),
        ).fetchall()
        for row in rows:
            if not row[-1]:
                raise damaged(f"a write of id {row[0]!r} that is not visible yet is")
        batch = Batch.of_stored([row[:-1] for row in rows])
        index = vectors.apply(tx, value_stores, index, kind, batch, seq=seq, processed=processed)
        index.save(tx, (mutation_id, submitted, processed))
        tx.execute("DELETE FROM mutations WHERE seq = ?", (seq,))
    return index


def progress(tx: Connection, index: Index, now: float) -> Progress:
    """The last processed mutation, whether or not it is visible already."""
    last = tx.execute(
        "SELECT mutation_id, submitted, processed FROM mutations "
        "WHERE index_id = ? AND processed <= ? ORDER BY seq DESC LIMIT 1",
        (index.id, now),
    ).fetchone()
    if last is None:
        last = tx.execute(
            "SELECT last_mutation, last_submitted, last_processed FROM indexes WHERE id = ?",
            (index.id,),
        ).fetchone()
    # SQLite takes the bare column `kind` from the row with the maximum: the last mutation of an id.
    (unseen,) = tx.execute(
        "WITH last AS (SELECT r.id, m.kind, max(m.seq) "
        "  FROM mutations m JOIN mutation_rows r ON r.seq = m.seq "
        "  WHERE m.index_id = :index AND m.processed <= :now GROUP BY r.id) "
        "SELECT coalesce(sum((kind <> 'delete') - EXISTS ("
        "  SELECT 1 FROM vectors v WHERE v.index_id = :index AND v.id = last.id)), 0) FROM last",
        {"index": index.id, "now": now},
    ).fetchone()
    mutation_id, submitted, processed = last
    return Progress(mutation_id, submitted, processed, index.count + unseen)


def _due(tx: Connection, index: Index, now: float) -> list[tuple[int, Any, str, float, float]]:
    due = tx.execute(
        "SELECT seq, kind, mutation_id, submitted, processed, "  # noqa: S608
        f"row_checksum = {CHECKSUMS['mutations']} "
        "FROM mutations WHERE index_id = ? AND visible <= ? ORDER BY seq",
        (index.id, now),
    ).fetchall()
    if not all(row[-1] for row in due):
        raise damaged(f"a mutation of the index {index.name!r} that is not visible yet is")
    return [row[:-1] for row in due]
