"""A long text that is not the one that was written is never taken for it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.core.texts.drivers import Chain, Llama, Watched
from tests.core.texts.kinds import EVERY, MakeTexts
from tests.stores import Call, both_ways, sync_call
from vectorize_core import D1Texts, MissingTextError, VectorizeClient
from vectorize_core.cli.app import app
from vectorize_core.errors import VectorizeError
from vectorize_core.texts import SqliteTexts, checking
from vectorize_core.transport.io import Io

PLACES = {
    "header": lambda size: 20,
    "middle": lambda size: size // 2,
    "tail": lambda size: size - 900,
}
LONG = "Fourscore and seven years ago. " * 1_000


class Flipped(Watched):
    """A store of texts whose disk has flipped a bit in each."""

    is_sound = False

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        found = await super().get(io, index, names)
        if self.is_sound:
            return found
        return {name: text.replace("seven", "sewen", 1) for name, text in found.items()}


@both_ways
@pytest.mark.parametrize("kind", [Chain, Llama], ids=lambda kind: kind.name)
@pytest.mark.parametrize("make", EVERY.values(), ids=list(EVERY))
@pytest.mark.covering(2)
async def test_a_damaged_text_is_a_named_error_or_an_empty_text(
    tmp_path: Path, kind: Any, make: MakeTexts, call: Call
) -> None:
    with VectorizeClient.local() as client:
        texts = Flipped(make(tmp_path))
        store = kind(client, texts=texts)
        await store.add(call, ("a", LONG, 1), ("b", "short", 2))
        for read in (lambda: store.search(call, LONG), lambda: store.get(call, ["b", "a"])):
            with pytest.raises(MissingTextError, match=r"record 'a' is damaged.*on_missing_text"):
                await read()
        empty = kind(client, texts=texts, on_missing_text="empty")
        assert await empty.get(call, ["a", "b"]) == {"a": ("", 1), "b": ("short", 2)}
        assert await store.get(call, ["b"]) == {"b": ("short", 2)}
        # Writing the record again mends it.
        texts.is_sound = True
        await store.add(call, ("a", LONG, 1))
        assert await store.get(call, ["a"]) == {"a": (LONG, 1)}
        texts.close()


async def make_directory(directory: Path, call: Call) -> None:
    """An embedded Vectorize with ten long texts beside it."""
    with VectorizeClient.local(directory) as client:
        texts = SqliteTexts(directory)
        store = Chain(client, texts=texts)
        await store.add(call, *[(f"a{n}", f"{n} {LONG}", n) for n in range(10)])
        texts.close()


@both_ways
async def test_the_command_check_reads_the_texts_too(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    await make_directory(tmp_path, call)
    assert checking.check(tmp_path) == []
    run = CliRunner()
    assert run.invoke(app, ["check", "--path", str(tmp_path)]).exit_code == 0
    path = tmp_path / "texts.sqlite3"
    data = bytearray(path.read_bytes())
    place = data.rindex(b"Fourscore") + 2
    data[place] ^= 1
    path.write_bytes(data)
    (problem,) = checking.check(tmp_path)
    assert "is damaged; write its record again" in problem
    result = run.invoke(app, ["check", "--path", str(tmp_path)])
    assert result.exit_code == 1
    assert "is damaged; write its record again" in result.output


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories with ten long texts, as they are open and closed, as they were, and another."""

    def copy(name: str) -> None:
        shutil.copytree(made / "made", made / name, ignore=shutil.ignore_patterns("*-shm"))

    async def make() -> None:
        with (
            VectorizeClient.local(made / "made") as client,
            closing(SqliteTexts(made / "made")) as t,
        ):
            store = Chain(client, texts=t)
            await store.add(sync_call, *[(f"a{n}", f"{n} {LONG}", n) for n in range(6)])
            copy("older")
            await store.add(sync_call, *[(f"a{n}", f"{n} {LONG}", n) for n in range(4, 10)])
            copy("open")
        copy("closed")
        with closing(SqliteTexts(made / "another")) as t, VectorizeClient.local() as client:
            await Chain(client, texts=t).add(sync_call, ("b", LONG, 1))
            shutil.copytree(made / "another", made / "other")

    made = tmp_path_factory.mktemp("texts")
    asyncio.run(make())
    return made


@pytest.mark.parametrize("suffix", ["", "-wal"], ids=["file", "log"])
@pytest.mark.parametrize(
    ("kind", "place"),
    [(kind, place) for kind in ("flip", "zeroes", "truncated") for place in PLACES]
    + [(kind, "header") for kind in ("missing", "empty", "older", "other")],
)
def test_each_damage_to_the_file_is_right_or_named(
    tmp_path: Path, copies: Path, kind: str, place: str, suffix: str
) -> None:
    asyncio.run(_damage(tmp_path / "data", copies, kind, place, suffix))


async def _damage(directory: Path, copies: Path, kind: str, place: str, suffix: str) -> None:
    shutil.copytree(copies / ("open" if suffix else "closed"), directory)
    path = directory / f"texts.sqlite3{suffix}"
    data = bytearray(path.read_bytes())
    at = PLACES[place](len(data))
    if kind == "flip":
        data[at] ^= 4
    elif kind == "zeroes":
        data[at : at + 512] = bytes(512)
    elif kind == "truncated":
        del data[at:]
    elif kind in ("older", "other"):
        data = bytearray((copies / kind / path.name).read_bytes())
    else:
        data.clear()
    path.unlink()
    if kind != "missing":
        path.write_bytes(data)
    result = CliRunner().invoke(app, ["check", "--json", "--path", str(directory)])
    findings = json.loads(result.output)["findings"]
    lost = {vector_id for finding in findings for vector_id in finding["lost"]}
    wrong = set()
    with VectorizeClient.local(directory) as client, closing(SqliteTexts(directory)) as texts:
        store = Chain(client, texts=texts)
        for n in range(10):
            try:
                assert await store.get(sync_call, [f"a{n}"]) == {f"a{n}": (f"{n} {LONG}", n)}
            except VectorizeError:
                wrong.add(f"a{n}")
        if wrong:
            assert result.exit_code == 1
            assert findings
        if kind in ("missing", "empty", "older", "other"):
            assert lost == wrong
            assert wrong or suffix
            # Writing these records again restores them.
            await store.add(
                sync_call, *[(name, f"{name[1:]} {LONG}", int(name[1:])) for name in wrong]
            )
            assert len(await store.get(sync_call, [f"a{n}" for n in range(10)])) == 10


def test_the_command_check_reads_the_texts_in_d1_too(tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client:
        store = Chain(client, texts=D1Texts("data"))
        asyncio.run(store.add(sync_call, *[(f"a{n}", f"{n} {LONG}", n) for n in range(3)]))
    arguments = ["check", "--json", "--path", str(tmp_path)]
    assert json.loads(CliRunner().invoke(app, arguments).output)["findings"] == []
    (path,) = tmp_path.glob("d1/*.sqlite3")
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM docs WHERE text LIKE '1 %'")
        file.execute("UPDATE docs SET text = replace(text, 'seven', 'sewen') WHERE text LIKE '2 %'")
    damaged, gone = json.loads(CliRunner().invoke(app, arguments).output)["findings"]
    assert "is damaged; write its record again" in damaged["problem"]
    assert gone["lost"] == ["a1"]
