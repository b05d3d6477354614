"""A directory that was removed, moved or replaced under an open store: the store refuses."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kinds import Kind, both_stores
from tests.stores import Call, both_ways
from vectorize_core import SqliteTexts, StorageError, VectorizeClient
from vectorize_core.local import Service, storage
from vectorize_core.local.d1.database import D1Database
from vectorize_core.local.value_store import FileValueStore
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite.connecting import connect
from vectorize_core.sqlite.file import SqliteFile
from vectorize_core.transport.io import run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no open file can be removed there")
ONES = np.ones(32)
LONG = "word " * 4_000


def removed(place: Path) -> None:
    shutil.rmtree(place)


def renamed(place: Path) -> None:
    place.rename(place.with_name("moved"))


def emptied(place: Path) -> None:
    """As before a backup is put back: the directory stays, its files are others."""
    for path in place.rglob("*"):
        if path.is_file():
            path.unlink()


def switched(place: Path) -> None:
    """A link to the directory that leads to another one."""
    other = place.with_name("other")
    other.mkdir()
    fresh = place.with_name("fresh")
    fresh.symlink_to(other)
    fresh.rename(place)


every_way = pytest.mark.parametrize("away", [removed, renamed, emptied, switched])
gone = pytest.mark.parametrize("away", [removed, renamed, emptied])


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where a store is: a directory, or a link to one if that is to be switched."""
    place = tmp_path / "v"
    if "away" in request.fixturenames and request.getfixturevalue("away") is switched:
        (tmp_path / "target").mkdir()
        place.symlink_to(tmp_path / "target")
    return place


def made(place: Path, name: str) -> Service:
    service = Service(place)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector(name, ONES)])
    service.query("docs", vector=ONES)
    return service


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}


CALLS: dict[str, Callable[[Service], object]] = {
    "upsert": lambda service: service.upsert("docs", [Vector("c", ONES)]),
    "delete": lambda service: service.delete_by_ids("docs", ["a"]),
    "query": lambda service: service.query("docs", vector=ONES),
    "get": lambda service: service.get_by_ids("docs", ["a"]),
    "list": lambda service: service.list_indexes(),
    "create": lambda service: service.create_index("new", IndexConfig(32)),
    "drop": lambda service: service.delete_index("docs"),
    "metadata index": lambda service: service.create_metadata_index("docs", "n", "number"),
    "compact": lambda service: service.compact(),
    "stats": lambda service: service.stats(),
    "check": lambda service: service.check(),
    "repair": lambda service: service.check(repair=True),
}


@every_way
def test_an_old_service_refuses_all_and_harms_nothing(
    place: Path, away: Callable[[Path], None]
) -> None:
    old = made(place, "old")
    away(place)
    new = made(place, "new")
    before = files(place)
    for name, call in CALLS.items():
        with pytest.raises(StorageError, match=r"was replaced: what is there.*new one"):
            call(old)
        assert files(place) == before, name
    # Nor does it delete the log of the new one when it is closed, which it does by name.
    old.close()
    assert files(place) == before
    assert new.get_by_ids("docs", ["new", "old"])[0].id == "new"
    assert new.check().ok
    new.close()


@every_way
def test_an_old_service_that_is_dropped_harms_nothing(
    place: Path, away: Callable[[Path], None]
) -> None:
    old = made(place, "old")
    away(place)
    new = made(place, "new")
    before = files(place)
    del old
    gc.collect()
    assert files(place) == before
    new.close()


@gone
def test_what_was_removed_is_not_made_again(place: Path, away: Callable[[Path], None]) -> None:
    old = made(place, "old")
    away(place)
    for call in CALLS.values():
        with pytest.raises(StorageError, match=r"was (removed or moved away|replaced).*put back"):
            call(old)
    assert not place.exists() or files(place) == {}
    old.close()


def test_what_was_moved_away_and_back_is_used_again(place: Path) -> None:
    service = made(place, "a")
    place.rename(place.with_name("moved"))
    with pytest.raises(StorageError, match="was removed"):
        service.get_by_ids("docs", ["a"])
    place.with_name("moved").rename(place)
    service.upsert("docs", [Vector("b", ONES)])
    service.close()
    assert len(Service(place).get_by_ids("docs", ["a", "b"])) == 2


def test_a_closed_and_reopened_store_uses_what_is_there(place: Path) -> None:
    made(place, "old").close()
    removed(place)
    made(place, "new").close()
    assert Service(place).list_vectors("docs").ids == ("new",)


def test_two_paths_to_one_directory_are_fine(place: Path) -> None:
    one = made(place, "a")
    link = place.with_name("link")
    link.symlink_to(place)
    two = Service(link)
    two.upsert("docs", [Vector("b", ONES)])
    one.upsert("docs", [Vector("c", ONES)])
    assert one.list_vectors("docs").ids == two.list_vectors("docs").ids == ("a", "b", "c")
    one.close()
    two.close()


# While a write is under way


@pytest.mark.parametrize("moment", ["begun", "written", "committed"])
@every_way
def test_a_write_is_not_acknowledged_if_its_place_is_taken_meanwhile(
    place: Path, away: Callable[[Path], None], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(place, "old")
    happened: list[Service] = []

    def take() -> None:
        if not happened:
            away(place)
            happened.append(made(place, "new"))

    commit, turn = SqliteFile._commit, SqliteFile._turn

    def after_begin(self: Any, *given: Any, **options: Any) -> Any:
        connection = turn(self, *given, **options)
        if moment == "begun" and self is old._database._file:
            take()
        return connection

    def around_commit(self: Any, connection: Any) -> None:
        ours = self is old._database._file
        if moment == "written" and ours:
            take()
        commit(self, connection)
        if moment == "committed" and ours:
            take()

    monkeypatch.setattr(SqliteFile, "_turn", after_begin)
    monkeypatch.setattr(SqliteFile, "_commit", around_commit)
    with suppress(StorageError):
        old.upsert("docs", [Vector("c", ONES)])
        # Taken between the last look and the commit: it says so right after.
        assert moment == "never"
    (new,) = happened
    assert new.list_vectors("docs").ids == ("new",)
    assert new.check().ok
    old.close()
    assert Service(place).list_vectors("docs").ids == ("new",)
    new.close()


def before(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str, happens: Callable[[], object]
) -> None:
    """Let something happen once, right before a method does its work."""
    original = getattr(owner, method)

    def first(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(owner, method, original)
        happens()
        return original(*args, **options)

    monkeypatch.setattr(owner, method, first)


@pytest.mark.parametrize("away", [removed, renamed, switched])
@pytest.mark.parametrize(("owner", "method"), [(FileValueStore, "write"), (ValueStores, "keep")])
def test_no_file_of_an_old_write_gets_into_a_new_directory(
    place: Path,
    away: Callable[[Path], None],
    owner: type,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = made(place, "old")

    def take() -> None:
        away(place)
        place.mkdir(exist_ok=True)

    before(monkeypatch, owner, method, take)
    with suppress(StorageError):
        old.upsert("docs", [Vector("c", ONES)])
    assert files(place) == {}
    new = made(place, "new")
    assert new.check().ok
    new.close()
    old.close()


@pytest.mark.parametrize("call", ["compact", "drop"])
def test_a_backup_that_is_put_back_meanwhile_loses_no_file(
    place: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bears the token of the open one, and its files have the same names."""
    old = made(place, "old")
    old.upsert("docs", [Vector("old", ONES)])
    backup = place.with_name("backup")
    shutil.copytree(place, backup)

    def put_back() -> None:
        renamed(place)
        backup.rename(place)

    before(monkeypatch, ValueStores, "keep", put_back)
    with suppress(StorageError):
        CALLS[call](old)
    old.close()
    new = Service(place)
    assert new.get_by_ids("docs", ["old"])
    assert new.check().ok
    new.close()


def test_another_database_under_the_same_name_is_noticed_by_its_token(place: Path) -> None:
    """Even if the file system says that it is the same file."""
    old = made(place, "old")
    other = made(place.with_name("other"), "new")
    other.close()
    database = old._database
    source = connect(str(place.with_name("other") / storage.FILE_NAME))
    database._file._reader.close()
    with database.writing() as tx:
        (token,) = source.execute("SELECT token FROM storage").fetchone()
        tx.execute("UPDATE storage SET token = ?", (token,))
    source.close()
    with pytest.raises(StorageError, match=r"was replaced|is not the one"):
        old.list_indexes()
    old.close()


# Texts and D1


@every_way
def test_texts_are_not_mixed_with_those_of_another_store(
    place: Path, away: Callable[[Path], None]
) -> None:
    with VectorizeClient.local() as client:
        io = client.connection.io()
        old, new = SqliteTexts(place), SqliteTexts(place)
        run(old.put(io, "docs", {"a": "old"}))
        away(place)
        with pytest.raises(StorageError, match=r"of the long texts, .* was (removed|replaced)"):
            run(old.put(io, "docs", {"b": "old"}))
        run(new.put(io, "docs", {"a": "new"}))
        before = files(place)
        for flow in (
            lambda: old.put(io, "docs", {"b": "old"}),
            lambda: old.get(io, "docs", ["a"]),
            lambda: old.delete(io, "docs", ["a"]),
        ):
            with pytest.raises(StorageError, match="was replaced"):
                run(flow())
        old.close()
        assert files(place) == before
        assert run(new.get(io, "docs", ["a", "b"])) == {"a": "new"}
        new.close()


@every_way
def test_d1_is_not_mixed_with_that_of_another_store(
    place: Path, away: Callable[[Path], None]
) -> None:
    write = [("CREATE TABLE IF NOT EXISTS t (a)", ()), ("INSERT INTO t VALUES (1)", ())]
    old, new = (D1Database(str(place / "d1.sqlite3")) for _ in range(2))
    old.run(write)
    away(place)
    new.run(write)
    before = files(place)
    for statements in (write, [("SELECT * FROM t", ())]):
        with pytest.raises(StorageError, match="was replaced"):
            old.run(statements)
    old.close()
    assert files(place) == before
    assert new.run([("SELECT a FROM t", ())])[0][1] == [(1,)]
    new.close()


@pytest.fixture
def stores(place: Path) -> Iterator[Callable[[Kind], Any]]:
    opened: list[Any] = []

    def make(kind: Kind) -> Any:
        opened.append(kind.local(path=place))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@every_way
@both_stores
@both_ways
async def test_a_store_refuses_in_words(
    kind: Kind, call: Call, place: Path, away: Callable[[Path], None], stores: Any
) -> None:
    old = stores(kind)
    await kind.add_rows(call, old, [("one", LONG, {})])
    away(place)
    new = stores(kind)
    await kind.add(call, new, "two")
    with pytest.raises(StorageError, match=r"was replaced: .*open a new one"):
        await kind.add(call, old, "three")
    with pytest.raises(StorageError, match="was replaced"):
        await kind.get(call, old, ["one"])
    with pytest.raises(StorageError, match="was replaced"):
        await kind.delete(call, old, ["two"])
    assert [row[0] for row in await kind.get(call, new, ["one", "two", "three"])] == ["two"]
