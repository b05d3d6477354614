"""The code of the page on moving records runs as it stands there, in both frameworks' stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.documents import examples, run
from tests.kinds import Kind, both_stores
from tests.moving.places import ROWS
from tests.stores import sync_call

SECTIONS = ("Moving records", "What an import does", "Tenants")


@both_stores
async def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    monkeypatch.chdir(tmp_path)
    special = {"metadata_indexes": {"year": "number"}}
    with (
        kind.local(**special) as store,
        kind.local(index_name="others") as other,
        kind.local(index_name="third") as third,
    ):
        await kind.add_rows(sync_call, store, ROWS)
        await kind.add_rows(sync_call, store.with_namespace("acme"), ROWS[:2])
        names: dict[str, Any] = {"store": store, "other_store": other, "third_store": third}
        for heading, code in examples("moving.md").items():
            if heading in SECTIONS:
                await run(code, heading, names)
        assert names["moved"].records == len(ROWS) + 2
        zeta = [row[0] for row in await kind.get(sync_call, other.with_namespace("zeta"), ["odd"])]
        assert zeta == ["odd"]
        assert await kind.get(sync_call, store, ["a"])
