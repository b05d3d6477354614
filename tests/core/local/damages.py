"""A directory to damage, the ways to damage one of its files, and what reads may answer then."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from vectorize_core.local import Service, StorageError
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS = 64
KINDS = ["flip", "zeroes", "truncated", "missing", "empty", "older", "other"]
PLACES = ["header", "middle", "tail"]
USED = {".f32": 272 * DIMENSIONS * 4}
"""The bytes of a file that hold anything, of those that are larger."""
Answers = dict[str, Any]
Versions = dict[str, list[Vector]]
"""All that was ever written of each id."""


class Damaged:
    """Copies of one directory as it is now, as it was once, and of another one."""

    def __init__(self, directory: Path) -> None:
        self.now, self.older, self.other = (directory / n for n in ("now", "older", "other"))
        self.closed = directory / "closed"
        self.versions: Versions = {}
        service = Service(directory / "made")
        fill(service, self.versions, 0, 120)
        shutil.copytree(directory / "made", self.older, ignore=shutil.ignore_patterns("*-shm"))
        # What is in the database, and what only in its log.
        service._database._file._writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # type: ignore[union-attr]
        fill(service, self.versions, 60, 160)
        self.expected = answers(service)
        shutil.copytree(directory / "made", self.now, ignore=shutil.ignore_patterns("*-shm"))
        service.close()
        shutil.copytree(directory / "made", self.closed)
        service = Service(directory / "another")
        fill(service, {}, 1000, 160)
        shutil.copytree(directory / "another", self.other, ignore=shutil.ignore_patterns("*-shm"))
        service.close()

    def damaged(self, target: Path, file: str, kind: str, place: str, seed: int) -> Path:
        """A copy with one file damaged; ``file`` is a pattern of its name.

        Only if it is to be the log there is one: all else is in the database.
        """
        shutil.copytree(self.now if file.endswith("-wal") else self.closed, target)
        path = only(target, file)
        source = random.Random(seed)
        data = bytearray(path.read_bytes())
        used = USED.get(path.suffix, len(data))
        begin = {"header": 0, "middle": used // 3, "tail": used * 9 // 10}[place]
        end = {"header": min(100, used), "middle": used * 2 // 3, "tail": used}[place]
        at = source.randrange(begin, end)
        if kind == "flip":
            data[at] ^= 1 << source.randrange(8)
        elif kind == "zeroes":
            size = source.choice([16, 512, 4096])
            data[at : at + size] = bytes(len(data[at : at + size]))
        elif kind == "truncated":
            del data[at:]
        elif kind in ("older", "other"):
            data = bytearray(only(self.older if kind == "older" else self.other, file).read_bytes())
        elif kind == "empty":
            data.clear()
        if kind == "missing":
            path.unlink()
        else:
            path.write_bytes(data)
        return target


def tables(directory: Path) -> list[tuple[str, str]]:
    """All columns of all tables of a database."""
    with closing(sqlite3.connect(directory / "vectorize.sqlite3")) as file:
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        return [
            (table, column)
            for (table,) in file.execute(names).fetchall()
            for _, column, *_ in file.execute(f"PRAGMA table_info({table})").fetchall()
        ]


def flip_value(directory: Path, table: str, column: str, bit: int) -> bool:
    """Flip a bit of a column in one row, behind the back of the library; whether there is one."""
    with closing(sqlite3.connect(directory / "vectorize.sqlite3")) as file, file:
        info = file.execute(f"PRAGMA table_info({table})").fetchall()
        keys = [name for _, name, *_, is_key in info if is_key] or ["rowid"]
        found = file.execute(f"SELECT {column}, {', '.join(keys)} FROM {table}").fetchall()
        if not found or found[len(found) // 2][0] in (None, ""):
            return False
        value, *key = found[len(found) // 2]
        where = " AND ".join(f"{name} = ?" for name in keys)
        with suppress(sqlite3.IntegrityError):
            changed = _flipped(value, bit)
            file.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed, *key))
            return True
    return False


def _flipped(value: Any, bit: int) -> Any:
    if isinstance(value, int):
        return value ^ 1 << bit
    if isinstance(value, float):
        (bits,) = struct.unpack("<Q", struct.pack("<d", value))
        return struct.unpack("<d", struct.pack("<Q", bits ^ 1 << bit))[0]
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1 << bit % 8]) + value[1:]
    return chr(ord(value[0]) ^ 1) + value[1:] if value else "x"


def only(directory: Path, file: str) -> Path:
    """The file whose name matches a pattern."""
    (path,) = directory.glob(file)
    return path


def fill(service: Service, versions: Versions, start: int, count: int) -> None:
    """Two indexes with dead slots, namespaces, a metadata index and metadata of some length."""
    if not service.list_indexes():
        service.create_index("docs", IndexConfig(DIMENSIONS))
        service.create_index("more", IndexConfig(32, "euclidean"))
        service.create_metadata_index("docs", "n", "number")
    for part in range(start, start + count, 40):
        some = [vector(n, start) for n in range(part, part + 40)]
        service.upsert("docs", some)
        for each in some:
            versions.setdefault(each.id, []).append(each)
    service.delete_by_ids("docs", [f"v{n}" for n in range(start, start + count, 9)])
    service.upsert("more", [Vector(f"m{n}", np.full(32, n)) for n in range(start, start + 20)])


def vector(n: int, start: int) -> Vector:
    values = np.random.default_rng(n + 10_000 * start).standard_normal(DIMENSIONS)
    metadata = {"n": n % 7, "text": f"{n} " * 80}
    return Vector(f"v{n}", values, f"space{n % 3}", metadata)


def reads(service: Service) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is asked of a service, each with its name."""
    yield "indexes", service.list_indexes
    yield "properties", lambda: service.list_metadata_indexes("docs")
    yield "count", lambda: service.index_info("docs").vector_count
    yield "ids", lambda: service.list_vectors("docs", count=1000).ids
    yield "more", lambda: service.list_vectors("more", count=1000).ids
    for n in range(0, 220, 20):
        names = [f"v{i}" for i in range(n, n + 20)]
        yield f"get {n}", lambda names=names: service.get_by_ids("docs", names)
    for n in (3, 70, 200):
        ask = vector(n, 60).values
        yield f"query {n}", lambda ask=ask: matches(service, "docs", ask, top_k=5)
        for more in ({"filter": {"n": {"$gte": 4}}}, {"namespace": "space1"}):
            yield (
                f"{more} {n}",
                lambda ask=ask, more=more: matches(
                    service, "docs", ask, top_k=20, return_metadata="all", **more
                ),
            )
    yield "distance", lambda: matches(service, "more", np.full(32, 7.2), top_k=3)


def matches(service: Service, name: str, ask: Any, **more: Any) -> list[tuple[Any, ...]]:
    found = service.query(name, vector=ask, **more).matches
    return [(match.id, match.score, match.metadata, match.namespace) for match in found]


def answers(service: Service) -> Answers:
    return {name: read() for name, read in reads(service)}


def wrong(service: Service, expected: Answers) -> tuple[list[str], list[str]]:
    """The reads that answer otherwise, and those that raise a `StorageError`."""
    with suppress(StorageError):
        service.query("docs", vector=np.ones(DIMENSIONS))
    with suppress(StorageError):
        service.query("more", vector=np.ones(32))
    with suppress(StorageError):
        service._scrub.run()
    others, refused = [], []
    for name, read in reads(service):
        try:
            if read() != expected[name]:
                others.append(name)
        except StorageError:
            refused.append(name)
    return others, refused
