"""Where a process cannot write, it reads, says so, and refuses writes by name."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.core.sqlite.filled import ONES, fill
from tests.kinds import LANGCHAIN, LLAMA_INDEX
from vectorize_core import IndexConfig, StorageError, Vector
from vectorize_core.local import Service
from vectorize_core.sqlite import read_only
from vectorize_core.sqlite.read_only import ReadOnlyFile

ROOT = str(Path(__file__).parents[3])
pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
WRITES = ("upsert", "create", "compact", "put_text", "write_database", "resume", "command_delete")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "v"


def locked(place: Path) -> None:
    for path in [place, *place.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def call(place: Path, *names: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.core.sqlite.readers", str(place), *names],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names(place: Path) -> set[str]:
    return {str(path.relative_to(place.parent)) for path in place.parent.rglob("*")}


ANSWERS = {
    "search": ["a", "b", "a", "b"],
    "texts": {"a": "long"},
    "databases": [[1]],
    "command": [0, ["a", "b"]],
    "check": True,
    "create_again": "docs",
}


@pytest.mark.parametrize("state", ["closed", "in use", "killed"])
def test_a_directory_that_cannot_be_written_is_searched(place: Path, state: str) -> None:
    if state == "closed":
        fill(place)
    else:
        # Its write-ahead logs hold all that was written, and no connection is collected:
        # the last one to go would empty them.
        code = "import sys, pathlib; from tests.core.sqlite.filled import fill\n"
        code += "from vectorize_core.sqlite.connecting import Connection\n"
        code += "kept = []; Connection.close = lambda self: kept.append(self)\n"
        code += "fill(pathlib.Path(sys.argv[1])); import gc, os; gc.collect(); os._exit(0)"
        environment = os.environ | {"PYTHONPATH": ROOT}
        subprocess.run([sys.executable, "-c", code, str(place)], check=True, env=environment)
        for path in place.rglob("*-shm"):
            if state == "killed":
                path.unlink()
        assert (place / "vectorize.sqlite3-wal").stat().st_size > 4_096
    locked(place)
    before = names(place)
    got = call(place, *ANSWERS)
    assert got["found"] == ANSWERS
    assert names(place) == before
    assert [line for line in got["log"] if "open read-only" in line and str(place) in line] == [
        line for line in got["log"] if line.startswith("the embedded Vectorize")
    ] + [line for line in got["log"] if line.startswith("the D1 database")]


def test_a_store_reads_its_long_texts(place: Path) -> None:
    store = LANGCHAIN.make(index_name="docs", path=place)
    store.add_texts(["one", "two " * 5_000])
    store.close()
    locked(place)
    got = call(place, "langchain", "llama_index")["found"]
    assert got == {"langchain": ["one", "two t"], "llama_index": ["one", "two t", 2]}


def test_writes_are_refused_by_name(place: Path) -> None:
    fill(place)
    locked(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    got = call(place, *WRITES)["found"]
    for name in ("upsert", "create", "put_text", "write_database", "compact"):
        kind, says = got[name]
        assert kind == "StorageError", (name, says)
        assert "open read-only" in says, name
        assert str(place) in says, name
    assert got["resume"][0] == "StorageError"
    assert "may not use" in got["resume"][1]
    assert got["command_delete"][0] == 1
    assert "open read-only" in got["command_delete"][1]
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_server_says_so_too(place: Path) -> None:
    fill(place)
    locked(place)
    ids, says = call(place, "server")["found"]["server"]
    assert ids == ["a", "b"]
    assert "open read-only" in says


def test_a_directory_that_may_not_be_read_is_no_empty_one(place: Path) -> None:
    fill(place)
    place.chmod(0o000)
    try:
        got = call(place, "search", "texts", "databases", "upsert")["found"]
    finally:
        place.chmod(0o755)
    for name, (kind, says) in got.items():
        assert kind == "StorageError", name
        assert "permission" in says, name


def test_a_file_of_values_that_may_not_be_read_is_named_by_its_path(place: Path) -> None:
    fill(place)
    (values,) = place.glob("vectors-*.f32")
    values.chmod(0)
    place.chmod(0o777)
    for name, (kind, says) in call(place, "search", "upsert")["found"].items():
        assert kind == "StorageError", name
        assert f"this process may not use {values} (" in says, name


def test_a_place_where_nothing_can_be_made(place: Path) -> None:
    place.mkdir()
    place.chmod(0o555)
    for empty in (place, place / "new"):
        got = call(empty, "search", "texts", "upsert", "create", "put_text", "write_database")
        found = got["found"]
        assert found["search"][0] == found["upsert"][0] == "IndexNotFoundError"
        assert found["texts"] == {}
        for name in ("create", "put_text", "write_database"):
            assert found[name][0] == "StorageError", name
            assert "permission" in found[name][1], name
    assert list(place.iterdir()) == []


def test_what_another_user_writes_is_read_at_once(place: Path) -> None:
    """The one who reads has no right to write, the one who writes has not closed it."""
    service = Service(place)
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    service.upsert("docs", [Vector("a", ONES, None, {"n": 1})])
    place.chmod(0o755)
    assert call(place, "search")["found"]["search"] == ["a", "a"]
    service.upsert("docs", [Vector("b", ONES, None, {"n": 1})])
    assert call(place, "search")["found"]["search"] == ["a", "b", "a", "b"]
    service.close()
    assert call(place, "search")["found"]["search"] == ["a", "b", "a", "b"]


def test_an_older_format_cannot_be_upgraded_there(place: Path) -> None:
    fill(place)
    file = sqlite3.connect(place / "vectorize.sqlite3")
    file.execute("PRAGMA user_version = 2")
    file.close()
    locked(place)
    kind, says = call(place, "search")["found"]["search"]
    assert kind == "StorageError"
    assert "cannot be upgraded" in says


def test_what_is_changed_while_it_is_open_is_read_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process could write, and is told that it cannot."""
    fill(place)
    reader = Service(place)
    monkeypatch.setattr(read_only, "is_read_only", lambda _: True)
    assert reader.list_vectors("docs").ids == ("a", "b")
    assert reader._database.is_read_only
    with pytest.raises(StorageError, match="open read-only"):
        reader.upsert("docs", [Vector("c", ONES)])
    monkeypatch.undo()
    writer = Service(place)
    writer.upsert("docs", [Vector("c", ONES)])
    assert reader.list_vectors("docs").ids == ("a", "b", "c")
    writer.close()
    writer = Service(place)
    writer.upsert("docs", [Vector("d", ONES)])
    writer.close()
    monkeypatch.setattr(read_only, "is_read_only", lambda _: True)
    assert reader.list_vectors("docs").ids == ("a", "b", "c", "d")
    monkeypatch.undo()
    # It can be written now.
    reader.upsert("docs", [Vector("e", ONES)])
    assert reader.list_vectors("docs").ids == ("a", "b", "c", "d", "e")
    reader.close()


def test_a_private_copy_is_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(place)
    service.create_index("docs", IndexConfig(32))
    (place / "copy").mkdir()
    for name in ("vectorize.sqlite3", "vectorize.sqlite3-wal"):
        (place / "copy" / name).write_bytes((place / name).read_bytes())
    temporary = place / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    opened = ReadOnlyFile(str(place / "copy" / "vectorize.sqlite3"), "it")
    assert opened.connection.execute("SELECT name FROM indexes").fetchall() == [("docs",)]
    assert list(temporary.iterdir()) == []
    opened.close()
    monkeypatch.setattr(tempfile, "tempdir", str(place / "none such"))
    with pytest.raises(StorageError, match=r"private copy.*open it once where it can be written"):
        ReadOnlyFile(str(place / "copy" / "vectorize.sqlite3"), "it")
    service.close()


# Reading makes nothing


def test_reading_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "a" / "v"
    got = call(place, "search", "texts", "databases", "upsert", "compact", "check")["found"]
    assert got["search"][0] == got["upsert"][0] == "IndexNotFoundError"
    assert (got["texts"], got["compact"], got["check"]) == ({}, 0, True)
    assert "no such table" in got["databases"][1]
    with Service(place)._database.reading() as tx:
        assert tx.execute("SELECT count(*) FROM vectors").fetchone() == (0,)
    assert list(tmp_path.iterdir()) == []


def test_every_read_of_a_store_makes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "v"
    with LANGCHAIN.local(path=place) as store:
        assert store.similarity_search("a") == []
        assert store.get_by_ids(["a"]) == []
        assert store.count() == 0
        assert list(store.iter_ids()) == []
        store.delete(["a"])
        assert not place.exists()
    with LLAMA_INDEX.local(path=place) as store:
        assert store.get_nodes(["a"]) == []
        assert list(store.iter_nodes()) == []
        store.delete("a")
        store.delete_nodes(["a"])
        assert not place.exists()
    store = LANGCHAIN.make(index_name="docs", path=place)
    store.add_texts(["a"])
    assert place.exists()
    store.close()


def test_a_reader_that_was_there_first_sees_what_is_written(tmp_path: Path) -> None:
    reader, writer = (LANGCHAIN.local(path=tmp_path / "v") for _ in range(2))
    assert reader.similarity_search("a") == []
    writer.add_texts(["a", "b " * 9_000], ids=["1", "2"])
    assert {document.id for document in reader.similarity_search("a")} == {"1", "2"}
    reader.close()
    writer.close()
