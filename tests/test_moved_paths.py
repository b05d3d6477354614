"""A relative path names the place that it named when it was given, wherever the process goes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.stores import Call, both_ways
from vectorize_core import (
    AsyncVectorizeClient,
    ConfigurationError,
    InvalidInputError,
    SqliteTexts,
    Vector,
    VectorizeClient,
)
from vectorize_core.api.d1 import WriteD1
from vectorize_core.cli.app import app
from vectorize_core.connection import local_connection
from vectorize_core.local import Service
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.models import IndexConfig
from vectorize_core.transport.io import run

LONG = "word " * 4_000


def everything(directory: Path) -> dict[str, bytes]:
    """All files below a directory, with their content."""
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """Two directories; the second holds a store at the relative path ``v``, which must not change.

    The process is in the first one, and goes to the second one with `elsewhere`.
    """
    first, second = tmp_path / "a", tmp_path / "b"
    for directory in (first, second):
        directory.mkdir()
    with LANGCHAIN.local(path=second / "v", metadata_indexes={"n": "number"}) as other:
        other.add_texts(["theirs", LONG], [{"n": 1}, {"n": 2}], ids=["1", "2"])
    before = everything(second)
    monkeypatch.chdir(first)
    yield first, second
    assert everything(second) == before


@both_stores
@both_ways
async def test_a_store_stays_where_it_was_made(
    kind: Kind, call: Call, two: tuple[Path, Path]
) -> None:
    store = kind.local(path="v")
    copies = [store]
    for turn, name in enumerate(("1", "2", "3")):
        os.chdir(two[turn % 2])
        await kind.add_rows(call, store, [(name, LONG, {"n": turn})])
        if kind is LLAMA_INDEX:
            copies.append(kind.store.from_dict(store.to_dict()))
        copies.append(pickle.loads(pickle.dumps(store)))
    os.chdir(two[1])
    for copy in copies:
        got = await kind.get(call, copy, ["1", "2", "3"])
        assert [(row[0], row[1]) for row in got] == [("1", LONG), ("2", LONG), ("3", LONG)]
        await kind.delete(call, copy, ["none such"])
    await kind.delete(call, store, ["2"])
    for copy in copies:
        copy.close()
    with kind.local(path=two[0] / "v") as again:
        assert [row[0] for row in await kind.get(call, again, ["1", "2", "3"])] == ["1", "3"]


@both_stores
def test_a_store_says_where_it_is(kind: Kind, two: tuple[Path, Path]) -> None:
    with kind.local(path="v") as store:
        place = str(two[0] / "v")
        if kind is LLAMA_INDEX:
            assert store.path == store.to_dict()["path"] == store.model_dump()["path"] == place
            with kind.store.from_params("docs", path="v") as other:
                assert other.path == place
        assert str(store._records.connection.address) == f"embedded, {place}"


def put(service: Service, name: str) -> None:
    service.upsert("docs", [Vector(name, np.ones(32))])


@contextmanager
def as_service() -> Iterator[Callable[[str], object]]:
    service = Service("v")
    service.create_index("docs", IndexConfig(32))
    yield lambda name: put(service, name)
    service.close()


@contextmanager
def as_client() -> Iterator[Callable[[str], object]]:
    with VectorizeClient.local("v") as client:
        client.create_index("docs", dimensions=32)
        yield lambda name: client.index("docs").upsert([Vector(name, np.ones(32))])


@contextmanager
def as_async_client() -> Iterator[Callable[[str], object]]:
    client = AsyncVectorizeClient.local("v").to_sync()
    client.create_index("docs", dimensions=32)
    yield lambda name: client.index("docs").upsert([Vector(name, np.ones(32))])
    client.close()


@contextmanager
def as_connection() -> Iterator[Callable[[str], object]]:
    connection = local_connection("v")
    client = pickle.loads(pickle.dumps(VectorizeClient.local("v").connection))
    texts = SqliteTexts("v")
    yield lambda name: run(texts.put(connection.io(), "docs", {name: "text"}))
    for each in (connection, client, texts):
        each.close()


@contextmanager
def as_texts() -> Iterator[Callable[[str], object]]:
    texts = SqliteTexts("v")
    with VectorizeClient.local() as client:

        def write(name: str) -> None:
            for each in (texts, pickle.loads(pickle.dumps(texts))):
                run(each.put(client.connection.io(), "docs", {name: "text"}))
                each.close()

        yield write


@contextmanager
def as_d1() -> Iterator[Callable[[str], object]]:
    databases = D1Databases("v")

    def write(name: str) -> None:
        databases.run(name, [("CREATE TABLE IF NOT EXISTS t (a)", ())])

    yield write
    databases.close()


@contextmanager
def as_d1_of_a_client() -> Iterator[Callable[[str], object]]:
    with VectorizeClient.local("v") as client:
        io = client.connection.io()
        yield lambda name: run(io.call(WriteD1(name, (("CREATE TABLE t (a)", ()),))))


@contextmanager
def as_server() -> Iterator[Callable[[str], object]]:
    from vectorize_core.local.server import BackgroundServer, Settings

    with (
        BackgroundServer(Settings(data="v")) as server,
        VectorizeClient(base_url=server.base_url) as client,
    ):
        client.create_index("docs", dimensions=32)
        yield lambda name: client.index("docs").upsert([Vector(name, np.ones(32))])


@pytest.mark.parametrize(
    "opened",
    [
        *(as_service, as_client, as_async_client, as_connection, as_texts, as_d1),
        *(as_d1_of_a_client, as_server),
    ],
)
def test_whatever_takes_a_path_stays_there(opened: Any, two: tuple[Path, Path]) -> None:
    with opened() as write:
        for turn, name in enumerate(("1", "2", "3", "4")):
            os.chdir(two[turn % 2])
            write(name)
        os.chdir(two[1])
    assert everything(two[0])


def test_a_checkpoint_stays_where_it_was(two: tuple[Path, Path]) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=32)

        def vectors() -> Iterator[Vector]:
            for number in range(6):
                os.chdir(two[number % 2])
                if number == 5:
                    raise KeyError("stop")
                yield Vector(str(number), np.ones(32))

        with pytest.raises(Exception, match="stop"):
            client.index("docs").upsert(vectors(), batch_size=2, resume="checkpoint")
        assert (two[0] / "checkpoint").exists()
        os.chdir(two[0])
        again = [Vector(str(number), np.ones(32)) for number in range(6)]
        client.index("docs").upsert(again, batch_size=2, resume="checkpoint")
        assert not (two[0] / "checkpoint").exists()


@pytest.mark.parametrize("path", ["", "a\0b", 5])
@both_stores
def test_a_store_refuses_what_is_no_path(kind: Kind, path: Any) -> None:
    with pytest.raises(ConfigurationError, match="path="):
        kind.local(path=path)


@pytest.mark.parametrize(
    "make",
    [Service, VectorizeClient.local, AsyncVectorizeClient.local, local_connection, SqliteTexts],
)
@pytest.mark.parametrize("path", ["", "a\0b", 5, None])
def test_whatever_takes_a_path_refuses_what_is_none(make: Any, path: Any) -> None:
    with pytest.raises(ConfigurationError, match="path="):
        make(path)


@pytest.mark.parametrize("resume", ["", "a\0b", 5])
def test_a_checkpoint_has_a_path(resume: Any) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=32)
        with pytest.raises(InvalidInputError, match="resume"):
            client.index("docs").upsert([Vector("a", np.ones(32))], resume=resume)


@pytest.mark.parametrize("command", [["list"], ["stats"], ["check"], ["compact"]])
def test_the_command_refuses_an_empty_path(command: list[str], two: tuple[Path, Path]) -> None:
    os.chdir(two[1] / "v")
    done = CliRunner().invoke(app, [*command, *["docs"][: command == ["list"]], "--path", ""])
    assert done.exit_code != 0
    assert "is empty" in done.stderr


def test_home_is_where_a_store_is_made(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(two[0]))
    monkeypatch.setenv("USERPROFILE", str(two[0]))
    with LANGCHAIN.local(path="~/v") as store:
        store.add_texts(["one", LONG])
    assert {path.name for path in two[0].iterdir()} == {"v"}
    assert (two[0] / "v" / "texts.sqlite3").exists()
