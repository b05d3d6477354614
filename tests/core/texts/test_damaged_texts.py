"""A long text that is not the one that was written is never taken for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.core.texts.drivers import Chain, Llama, Watched
from tests.core.texts.kinds import EVERY, MakeTexts
from tests.stores import Call, both_ways
from vectorize_core import MissingTextError, VectorizeClient
from vectorize_core.texts import SqliteTexts, checking
from vectorize_core.transport.io import Io

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
    from typer.testing import CliRunner

    from vectorize_core.cli.app import app

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


@both_ways
@pytest.mark.parametrize("place", ["header", "middle", "tail"])
@pytest.mark.parametrize("kind", ["flip", "zeroes", "truncated", "missing", "empty", "older"])
async def test_each_damage_to_the_file_is_right_or_named(
    tmp_path: Path, call: Call, kind: str, place: str
) -> None:
    from vectorize_core.errors import VectorizeError

    await make_directory(tmp_path / "data", call)
    path = tmp_path / "data" / "texts.sqlite3"
    data = bytearray(path.read_bytes())
    at = {"header": 20, "middle": len(data) // 2, "tail": len(data) - 900}[place]
    if kind == "flip":
        data[at] ^= 4
    elif kind == "zeroes":
        data[at : at + 512] = bytes(512)
    elif kind == "truncated":
        del data[at:]
    else:
        data.clear()
    path.unlink()
    if kind == "older":
        with sqlite3.connect(path) as file:
            file.execute("CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT NOT NULL)")
        file.close()
    elif kind != "missing":
        path.write_bytes(data)
    named = checking.check(tmp_path / "data")
    with VectorizeClient.local(tmp_path / "data") as client:
        texts = SqliteTexts(tmp_path / "data")
        store = Chain(client, texts=texts)
        wrong = 0
        for n in range(10):
            try:
                assert await store.get(call, [f"a{n}"]) == {f"a{n}": (f"{n} {LONG}", n)}
            except VectorizeError:
                wrong += 1
        texts.close()
    if wrong and kind not in ("missing", "empty", "older"):
        assert named
