"""The tables of the SQLite database, their version, and upgrades from older versions."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Final

from vectorize_core.errors import StorageError
from vectorize_core.local.checksums import of_row, of_values, placed
from vectorize_core.local.row_types import FLOAT_BYTES
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.sqlite.connecting import Connection

FORMAT: Final = 4
"""Version of the tables below and of the files of values, kept in ``user_version``.

In format 1 the values were in the table of vectors; in format 2 files did not name their database;
in format 3 there was no log of values that are not synced.
A damaged ``user_version`` is told from another format by the tables and columns. The next format is
not doubted.
"""
SLOT_BITS: Final = 40
"""The bits of a slot. A vector's key is the id of its index followed by its slot."""

INDEX: Final = (
    "id, name, dimensions, metric, description, created, submitted, "
    "last_mutation, last_submitted, last_processed, "
    "generation, slots, dead, inserted, clock, properties"
)
"""The columns of an index that its checksum covers."""
METADATA_INDEX: Final = "seq, index_id, property_name, index_type, live, gone"
"""Those of a metadata index."""
CHECKSUMS: Final = {
    "indexes": f"of_row({INDEX})",
    "metadata_indexes": f"of_row({METADATA_INDEX})",
    "mutations": "of_row(seq, index_id, mutation_id, kind, submitted, processed, visible)",
    "mutation_rows": "of_row(seq, position, id, namespace, metadata, of_values(data))",
    "vectors": "placed(of_row(index_id, id, seq, processed, namespace, metadata, checksum), "
    "key, position)",
    "dead_slots": "placed(index_id, ordinal, slot)",
    "unsynced_values": "of_row(ordinal, key, of_values(CAST(data AS BLOB)))",
}
"""The ``row_checksum`` of a table's rows, in SQL."""

_LARGEST_LOG: Final = 1 << 26
"""Bytes of the write-ahead log that remain on disk after a checkpoint."""
_VECTORS: Final = """
CREATE TABLE vectors (
    key INTEGER PRIMARY KEY,
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    id TEXT NOT NULL,
    position INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    processed REAL NOT NULL,
    namespace TEXT,
    metadata TEXT,
    checksum INTEGER NOT NULL,
    row_checksum INTEGER NOT NULL DEFAULT 0,
    UNIQUE (index_id, id)
);
CREATE TABLE dead_slots (
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    row_checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (index_id, ordinal)
) WITHOUT ROWID;
"""
_UNSYNCED: Final = """
CREATE TABLE unsynced_values (
    ordinal INTEGER PRIMARY KEY,
    key INTEGER NOT NULL,
    data BLOB NOT NULL,
    row_checksum INTEGER NOT NULL DEFAULT 0
);
"""
_COUNTERS: Final = """
    generation INTEGER NOT NULL DEFAULT 0,
    slots INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    inserted INTEGER NOT NULL DEFAULT 0
"""
_STORAGE: Final = """
CREATE TABLE IF NOT EXISTS storage (
    token TEXT NOT NULL,
    commits INTEGER NOT NULL DEFAULT 0,
    indexes INTEGER NOT NULL DEFAULT 0
)
"""
_SCHEMA: Final = f"""
CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL,
    metric TEXT NOT NULL,
    description TEXT NOT NULL,
    created REAL NOT NULL,
    submitted REAL NOT NULL,
    last_mutation TEXT,
    last_submitted REAL,
    last_processed REAL,
    {_COUNTERS},
    clock REAL,
    properties INTEGER NOT NULL DEFAULT 0,
    row_checksum INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE deleted_indexes (name TEXT PRIMARY KEY);
CREATE TABLE mutations (
    seq INTEGER PRIMARY KEY,
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    mutation_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    submitted REAL NOT NULL,
    processed REAL NOT NULL,
    visible REAL NOT NULL,
    row_checksum INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX mutations_of_index ON mutations (index_id, seq);
CREATE TABLE mutation_rows (
    seq INTEGER NOT NULL REFERENCES mutations ON DELETE CASCADE,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    namespace TEXT,
    metadata TEXT,
    data BLOB,
    row_checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (seq, position)
);
CREATE TABLE metadata_indexes (
    seq INTEGER PRIMARY KEY,
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    property_name TEXT NOT NULL,
    index_type TEXT NOT NULL,
    live REAL NOT NULL,
    gone REAL,
    row_checksum INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX metadata_indexes_of_index ON metadata_indexes (index_id, seq);
{_VECTORS}
{_UNSYNCED}
"""


def key(index_id: int, slot: int) -> int:
    """The key of a vector. The keys of an index are one range, in the order of slots."""
    return index_id << SLOT_BITS | slot


def slot(key: int) -> int:
    """The slot of a vector by its key."""
    return key & ((1 << SLOT_BITS) - 1)


def prepare(
    connection: sqlite3.Connection, target: str, value_stores: ValueStores, *, writes: bool = True
) -> None:
    """Create or upgrade the tables of a database that has just been opened.

    Without ``writes`` only check that they are of this version.
    """
    connection.create_function("of_row", -1, of_row, deterministic=True)
    connection.create_function("of_values", 1, of_values, deterministic=True)
    connection.create_function("placed", 3, placed, deterministic=True)
    version = _version(connection)
    doubtful = version > FORMAT + 1 or (writes and version < FORMAT)
    if doubtful and _columns(connection) == _our_columns():
        # Again, because another process may have made or upgraded them meanwhile.
        version = _version(connection)
        if version != FORMAT:
            raise sqlite3.DatabaseError(
                f"its header says format {version}, and its tables are of format {FORMAT}"
            )
    if version > FORMAT:
        raise StorageError(
            f"{target} was written by a newer version of this library (format {version}; "
            f"this version reads up to {FORMAT}). Upgrade the library to open it"
        )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
    if version < FORMAT:
        if not writes:
            raise StorageError(
                f"{target} was written by an older version of this library (format {version}; "
                f"this version reads format {FORMAT}) and cannot be upgraded, for this process "
                "cannot write there. Open it once where it can be written"
            )
        _upgrade(connection, version, value_stores)
    value_stores.token = token(connection)


def is_new(connection: sqlite3.Connection) -> bool:
    """Whether a database has no tables."""
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def create(connection: sqlite3.Connection) -> None:
    """Create the tables in a database that is empty."""
    with transaction(connection):
        _name(connection)
        _execute(connection, _SCHEMA)
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def token(connection: sqlite3.Connection) -> str:
    """The name of this database: random, given when it was made, the same for ever."""
    row = connection.execute("SELECT token FROM storage").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the table 'storage' has lost its row")
    return str(row[0])


def commits(connection: sqlite3.Connection) -> int:
    """How many transactions have changed this database. A mutation is known by that number."""
    (count,) = connection.execute("SELECT commits FROM storage").fetchone()
    return int(count)


def next_commit(tx: Connection) -> int:
    """The number that the commit of the running transaction will have."""
    return tx.once("next commit", lambda: commits(tx) + 1)


def count_commit(tx: Connection) -> int:
    """Count the commit that is to follow; its number."""
    tx.execute("UPDATE storage SET commits = commits + 1")
    number = commits(tx)
    tx.learn("next commit", number + 1)
    return number


def outnumber(tx: sqlite3.Connection) -> None:
    """Let no commit to come have the number of a mutation that there was."""
    (last,) = tx.execute(
        "SELECT max(seq) FROM (SELECT seq FROM vectors UNION ALL "
        "SELECT seq FROM metadata_indexes UNION ALL SELECT seq FROM mutations)"
    ).fetchone()
    tx.execute("UPDATE storage SET commits = max(commits, ?)", (last or 0,))


@cache
def _our_columns() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create(connection)
        return _columns(connection)


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """All tables, each with each of its columns."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        (table, column)
        for (table,) in tables
        if not table.startswith("sqlite_")
        for _, column, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall()
    }


def _upgrade(connection: sqlite3.Connection, version: int, value_stores: ValueStores) -> None:
    if version:
        # Committed before files are named after it, so that an interrupted upgrade finds them.
        with transaction(connection):
            _name(connection)
    with transaction(connection):
        # Another process may have upgraded it since the version was read.
        version = _version(connection)
        _name(connection)
        value_stores.token = token(connection)
        if version == 0:
            _execute(connection, _SCHEMA)
        elif version < FORMAT:
            _execute(connection, _UNSYNCED)
            if version < 3:
                _give_checksums(connection, version, value_stores)
            outnumber(connection)
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def _name(tx: sqlite3.Connection) -> None:
    """Give the database its token, if it has none."""
    tx.execute(_STORAGE)
    tx.execute(
        "INSERT INTO storage (token) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM storage)",
        (secrets.token_hex(8),),
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction of a connection that is being opened, while no other process writes."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _give_checksums(tx: sqlite3.Connection, version: int, value_stores: ValueStores) -> None:
    """Upgrade from format 1 or 2 to 3."""
    if version == 1:
        _move_values_out(tx, value_stores)
        value_stores.sync()
    for index_id, generation in tx.execute("SELECT id, generation FROM indexes"):
        value_stores.adopt(index_id, generation)
    _add_checksums(tx, moved=version == 1)


def _move_values_out(tx: sqlite3.Connection, value_stores: ValueStores) -> None:
    """Upgrade from format 1: move the values from the table of vectors to files."""
    for column in _COUNTERS.split(","):
        tx.execute(f"ALTER TABLE indexes ADD COLUMN {column}")
    tx.execute("ALTER TABLE vectors RENAME TO vectors_1")
    tx.execute("DROP INDEX vectors_of_index")
    _execute(tx, _VECTORS)
    for index_id, dimensions in tx.execute("SELECT id, dimensions FROM indexes").fetchall():
        store = value_stores.store(index_id, 0, dimensions)
        rows = tx.execute(
            "SELECT id, seq, processed, namespace, metadata, data FROM vectors_1 "
            "WHERE index_id = ? ORDER BY slot",
            (index_id,),
        )
        count = 0
        while some := rows.fetchmany(max(1, (1 << 22) // (dimensions * FLOAT_BYTES))):
            store.write(count, b"".join(row[-1] for row in some))
            tx.executemany(
                "INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    (key(index_id, n), index_id, row[0], n, *row[1:-1], of_values(row[-1]))
                    for n, row in enumerate(some, count)
                ),
            )
            count += len(some)
        tx.execute(
            "UPDATE indexes SET slots = :count, inserted = :count WHERE id = :id",
            {"count": count, "id": index_id},
        )
    tx.execute("DROP TABLE vectors_1")


def _add_checksums(tx: sqlite3.Connection, *, moved: bool) -> None:
    """Give each row of a table a checksum."""
    tx.execute("ALTER TABLE indexes ADD COLUMN clock REAL")
    tx.execute("ALTER TABLE indexes ADD COLUMN properties INTEGER NOT NULL DEFAULT 0")
    tx.execute(
        "UPDATE indexes SET properties = "
        "(SELECT count(*) FROM metadata_indexes WHERE index_id = indexes.id)"
    )
    tx.execute("UPDATE storage SET indexes = (SELECT count(*) FROM indexes)")
    for table, checksum in CHECKSUMS.items():
        if not (table == "unsynced_values" or (moved and table in ("vectors", "dead_slots"))):
            tx.execute(f"ALTER TABLE {table} ADD COLUMN row_checksum INTEGER NOT NULL DEFAULT 0")
        tx.execute(f"UPDATE {table} SET row_checksum = {checksum}")  # noqa: S608 - names


def _execute(connection: sqlite3.Connection, script: str) -> None:
    """Execute a script in the current transaction, which ``executescript`` would end."""
    for statement in script.split(";"):
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
