"""Every error of the disk and of SQLite is a `StorageError` in words, wherever it comes from."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.kinds import Kind, both_stores
from tests.stores import Call, both_ways
from vectorize_core import InvalidInputError, SqliteTexts, StorageError, Vector, VectorizeClient
from vectorize_core.cli.app import app
from vectorize_core.local import Service
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.models import IndexConfig
from vectorize_core.sqlite.explaining import Explained
from vectorize_core.transport.io import run

ROOT = str(Path(__file__).parents[3])


def no_database(place: Path) -> None:
    for name in ("vectorize.sqlite3", "texts.sqlite3", "d1/t.sqlite3"):
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not a database " * 500)


def a_file(place: Path) -> None:
    place.write_text("")


def below_a_file(place: Path) -> None:
    place.parent.rmdir()
    place.parent.write_text("")


def directories(place: Path) -> None:
    for name in ("vectorize.sqlite3", "texts.sqlite3", "d1/t.sqlite3"):
        (place / name).mkdir(parents=True)


def d1_is_a_file(place: Path) -> None:
    place.mkdir()
    (place / "d1").write_text("")


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "no database": (no_database, "is damaged"),
    "a file": (a_file, "is a file where a directory belongs"),
    "below a file": (below_a_file, "is a file where a directory belongs"),
    "directories": (directories, "is a directory where a file belongs"),
}
wrong = pytest.mark.parametrize(("spoil", "says"), WRONG.values(), ids=WRONG)


def use_texts(place: Path, *, put: bool) -> None:
    with VectorizeClient.local() as client:
        texts, io = SqliteTexts(place), client.connection.io()
        run(texts.put(io, "docs", {"a": "b"}) if put else texts.get(io, "docs", ["a"]))


USES: dict[str, Callable[[Path], object]] = {
    "reading vectors": lambda place: Service(place).list_indexes(),
    "writing vectors": lambda place: Service(place).create_index("docs", IndexConfig(32)),
    "reading texts": lambda place: use_texts(place, put=False),
    "writing texts": lambda place: use_texts(place, put=True),
    "reading D1": lambda place: D1Databases(place).run("t", [("SELECT 1", ())]),
    "writing D1": lambda place: D1Databases(place).run("t", [("CREATE TABLE t (a)", ())]),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    return tmp_path / "p" / "v"


@wrong
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_place_that_cannot_be_used(
    place: Path, spoil: Callable[[Path], None], says: str, use: Callable[[Path], object]
) -> None:
    spoil(place)
    if use is USES["reading D1"] and spoil is no_database:
        # SQLite looks into the file only for a statement that needs it.
        return
    with pytest.raises(StorageError, match=says) as caught:
        use(place)
    assert str(place) in str(caught.value) or str(place.parent) in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
@pytest.mark.parametrize(
    ("target", "says"),
    [
        (os.devnull, r"p.v is a file where a directory belongs"),
        ("nowhere", r"p.v is a symbolic link to nowhere, which does not exist"),
    ],
)
@pytest.mark.parametrize("use", [u for n, u in USES.items() if "writing" in n])
def test_a_link_that_leads_to_no_directory(
    place: Path, target: str, says: str, use: Callable[[Path], object]
) -> None:
    place.symlink_to(target)
    with pytest.raises(StorageError, match=says):
        use(place)


@wrong
@both_stores
@both_ways
async def test_a_store_says_so(
    kind: Kind, call: Call, place: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(place)
    store = kind.local(path=place)
    with pytest.raises(StorageError, match=says):
        await kind.add(call, store, "one")
    with pytest.raises(StorageError, match=says):
        await kind.get(call, store, ["one"])
    store.close()


@wrong
def test_the_command_says_so(place: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(place)
    done = CliRunner().invoke(app, ["list", "docs", "--path", str(place)])
    assert done.exit_code == 1
    assert " ".join(says.split()) in " ".join(done.stderr.split())


def test_the_folder_of_d1_may_be_a_file(place: Path) -> None:
    d1_is_a_file(place)
    for use in ("reading D1", "writing D1"):
        with pytest.raises(StorageError, match="is a file where a directory belongs"):
            USES[use](place)


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    for use in USES.values():
        with pytest.raises(StorageError, match=r"too long"):
            use(tmp_path / ("x" * 300) / "v")


CODE = """
import os, resource, sys
import vectorize_core.local.executor
from vectorize_core import SqliteTexts, StorageError, VectorizeClient
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig
from vectorize_core.transport.io import run
place = sys.argv[1]
service, texts, io = Service(place), SqliteTexts(place), VectorizeClient.local().connection.io()
uses = {
    "vectors": lambda: service.create_index("docs", IndexConfig(32)),
    "texts": lambda: run(texts.put(io, "docs", {"a": "b"})),
}
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
files = []
try:
    while True:
        files.append(open(os.devnull))
except OSError:
    pass
said = {}
for name, use in uses.items():
    try:
        use()
    except StorageError as error:
        said[name] = str(error)
for file in files:
    file.close()
assert all("too many files are open" in said[name] for name in uses), said
for use in uses.values():
    use()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_too_many_open_files(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ROOT},
        check=True,
    )


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (sqlite3.SQLITE_FULL, "no space is left"),
        (sqlite3.SQLITE_BUSY, "is locked"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "is locked"),
        (sqlite3.SQLITE_LOCKED, "is locked"),
        (sqlite3.SQLITE_PROTOCOL, "is locked"),
        (sqlite3.SQLITE_READONLY, "open read-only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "open read-only"),
        (sqlite3.SQLITE_IOERR, "disk under it in /p failed"),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk under it in /p failed"),
        (sqlite3.SQLITE_CORRUPT, "is damaged"),
        (sqlite3.SQLITE_NOTADB, "is damaged"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be used"),
        (sqlite3.SQLITE_ERROR, "SQLite failed"),
    ],
)
def test_what_sqlite_says_is_put_in_words(code: int, says: str) -> None:
    error = sqlite3.OperationalError("bad")
    error.sqlite_errorcode = code
    with pytest.raises(StorageError, match=says) as caught, Explained("it", "/p/f"):
        raise error
    assert "/p" in str(caught.value)
    assert caught.value.__cause__ is error


def test_what_is_no_error_of_storage_passes() -> None:
    with pytest.raises(KeyError), Explained("it", "/p/f"):
        raise KeyError


def test_checkpoints_are_files_too(tmp_path: Path) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=32)

        def resume(path: Any) -> None:
            client.index("docs").upsert([Vector("a", np.ones(32))], resume=path)

        with pytest.raises(InvalidInputError, match="is a directory"):
            resume(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(InvalidInputError, match="no such directory"):
            resume(tmp_path / "file" / "checkpoint")
        with pytest.raises(StorageError, match=r"checkpoint \(resume=\).*too long"):
            resume(tmp_path / ("x" * 300))


def test_texts_may_be_opened_for_the_first_time_many_times_at_once(tmp_path: Path) -> None:
    failures: list[Any] = []
    with VectorizeClient.local() as client:
        for attempt in range(10):
            barrier = threading.Barrier(6)

            def open_it(place: Path, barrier: threading.Barrier) -> None:
                texts = SqliteTexts(place)
                barrier.wait()
                try:
                    run(texts.put(client.connection.io(), "docs", {"a": "b"}))
                    texts.close()
                except Exception as error:
                    failures.append(error)

            arguments = (tmp_path / str(attempt), barrier)
            threads = [threading.Thread(target=open_it, args=arguments) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert failures == []
