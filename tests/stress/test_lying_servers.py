"""Servers that change their answers at random: errors of this library, and no wrong records."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.kinds import LANGCHAIN, LLAMA_INDEX
from tests.lying import Lie, Lying
from tests.nightly import sized
from tests.stores import async_call, sync_call
from vectorize_core import VectorizeError
from vectorize_core.local.server import BackgroundServer

ROWS = [(f"id{n}", f"text {n}", {"n": n, "half": n % 2}) for n in range(60)]
IDS = [row[0] for row in ROWS]
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        7,
        2.5,
        1e39,
        -1e300,
        2**63,
        "",
        "NaN",
        "id0",
        "id1",
        "text",
        "a" * 9_000,
    ),
    *(
        [],
        {},
        [None],
        [[]],
        {"a": None},
        ["id0"],
        [0.5] * 7,
        {"id": "id0"},
        "2026-01-01",
        "\x1b[31m",
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer() as server:
        yield server


def changed(chance: random.Random, value: Any) -> Any:
    """``value`` with something inside it exchanged, left out or repeated."""
    if not isinstance(value, (dict, list)) or not value or chance.random() < 0.15:
        return chance.choice(ODD)
    if isinstance(value, dict):
        name = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: changed(chance, value[name])}
    at = chance.randrange(len(value))
    if chance.random() < 0.2:
        return [*value, value[at]]
    return [*value[:at], changed(chance, value[at]), *value[at + 1 :]]


def lies(chance: random.Random) -> Lie:
    def lie(result: Any, _: httpx.Request) -> Any:
        return changed(chance, result) if chance.random() < 0.4 else result

    return lie


@pytest.mark.parametrize("seed", range(sized(3, 200)))
async def test_what_lies_is_found_out_or_harmless(server: BackgroundServer, seed: int) -> None:
    chance = random.Random(seed)
    lying, account = Lying(), uuid4().hex
    client = lying.client(server, account)
    kind, call = chance.choice([LANGCHAIN, LLAMA_INDEX]), chance.choice([sync_call, async_call])
    store = kind.over(client, metadata_indexes={"half": "number"})
    await kind.add_rows(call, store, ROWS)
    for _ in range(40):
        lying.lies = dict.fromkeys(["query", "get_by_ids", "list", "info", "docs"], lies(chance))
        # Or what is known is not asked for again.
        client = lying.client(server, account)
        store = kind.over(client, metadata_indexes={"half": "number"})
        with suppress(VectorizeError):
            match chance.randrange(4):
                case 0:
                    found = await kind.search(call, store, "text 1", chance.choice([3, 30, 60]))
                    assert len(found) == len(set(found)) <= 60
                case 1:
                    rows = await kind.get(call, store, IDS[:30])
                    assert len({row[0] for row in rows}) == len(rows) <= 30
                case 2:
                    listed = list(client.index("docs").list_ids())
                    assert len(set(listed)) == len(listed)
                    assert all(isinstance(i, str) and i for i in listed)
                case _:
                    assert client.index("docs").count() >= 0
    lying.lies = {}
    store = kind.over(lying.client(server, account))
    assert sorted(await kind.search(call, store, "text 1", 60)) == sorted(IDS)
    lying.close()
