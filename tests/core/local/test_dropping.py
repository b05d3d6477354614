"""Databases that are dropped without being closed."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from typing import Any

import pytest

from vectorize_core import IndexNotFoundError, VectorizeClient
from vectorize_core.local import Service
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.sqlite.connecting import connect
from vectorize_core.texts import SqliteTexts, fts
from vectorize_core.texts.sqlite_index import SqliteTextIndex
from vectorize_core.texts.text_index import NoTableError
from vectorize_core.transport.io import run

ROOT = Path(__file__).parent.parent.parent.parent


def use_a_client(path: str) -> object:
    client = VectorizeClient.local(path)
    client.list_indexes()
    return client


def use_a_service(path: str) -> object:
    service = Service(path)
    service.list_indexes()
    return service


def use_texts(path: str) -> object:
    texts = SqliteTexts(path)
    with VectorizeClient.local() as client:
        run(texts.put(client.connection.io(), "docs", {"a": "text"}))
    return texts


def use_d1(path: str) -> object:
    databases = D1Databases(path)
    databases.run("one", [("SELECT 1", ())])
    return databases


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("use", [use_a_client, use_a_service, use_texts, use_d1])
def test_what_is_dropped_open_closes_its_databases(
    use: Callable[[str], object], in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.collect()
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    used = use(":memory:" if in_memory else str(tmp_path))
    del used
    gc.collect()
    assert complaints == []


def test_a_program_that_ends_closes_its_databases(tmp_path: Path) -> None:
    code = (
        "import sys; from vectorize_core import VectorizeClient\n"
        "client = VectorizeClient.local(sys.argv[1]); client.create_index('docs', dimensions=32)\n"
        "cycle = [VectorizeClient.local()]; cycle.append(cycle); cycle[0].list_indexes()\n"
    )
    arguments = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"vectorize.commits", "vectorize.sqlite3"}


def test_what_could_not_be_opened_is_dropped_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with pytest.raises(sqlite3.OperationalError):
        connect(str(tmp_path))
    gc.collect()
    assert complaints == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_leaves_what_it_inherited_to_its_parent(tmp_path: Path) -> None:
    connection: Any = connect(str(tmp_path / "db"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            connection.__del__()
            connection.execute("SELECT 1")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    connection.__del__()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


async def test_an_error_that_is_kept_holds_no_connection(tmp_path: Path) -> None:
    """Else the last one who has the error closes it, such as the thread of an event loop."""
    with VectorizeClient.local(tmp_path) as client:
        with pytest.raises(IndexNotFoundError) as caught:
            client.index("docs").info()
        with pytest.raises(IndexNotFoundError) as awaited:
            await client.to_async().index("docs").info()
        for error in (caught.value, awaited.value):
            assert error.__context__ is None


async def test_an_error_of_a_missing_table_holds_no_connection(tmp_path: Path) -> None:
    texts = SqliteTextIndex(tmp_path)
    with VectorizeClient.local() as client:
        io = client.connection.async_io()
        with pytest.raises(NoTableError) as read:
            await texts._read(io, fts.notes(texts.table("docs")))
        with pytest.raises(NoTableError) as written:
            await texts._write(io, [fts.noting(texts.table("docs"), "complete", "1")])
        for error in (read.value, written.value):
            frames = [frame for frame, _ in walk_tb(error.__traceback__)]
            assert error.__context__ is None
            assert not any("tx" in frame.f_locals for frame in frames)
    texts.close()
