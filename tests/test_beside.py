"""What is kept beside the vectors of an embedded client: by all its stores, and by ``path=``."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, Row, both_stores
from tests.stores import Call, both_ways
from vectorize_core import InvalidVectorError, VectorizeClient, VectorizeError
from vectorize_core.moving import copy_records
from vectorize_core.page.account import Account

ROWS: list[Row] = [
    ("a", "ERR_STREAM_DESTROYED: " + "a write after destroy() " * 1_000, {"year": 1}),
    ("b", "How streams end", {"year": 2}),
]
FDS = Path("/proc/self/fd")
needs_fds = pytest.mark.skipif(not FDS.is_dir(), reason="tells what is open")
BOTH = [LANGCHAIN, LLAMA_INDEX]


@pytest.mark.parametrize("place", ["memory", "directory"])
@both_stores
@both_ways
async def test_long_texts_and_words_are_there_for_all_stores_of_a_client(
    kind: Kind, call: Call, place: str, tmp_path: Path
) -> None:
    where = ":memory:" if place == "memory" else str(tmp_path / "data")
    with VectorizeClient.local(where) as client:
        made = kind.over(client, text_index=True)
        await kind.add_rows(call, made, ROWS)
        made.close()
        for other in BOTH:
            await _finds_all(other, call, other.over(client, text_index=True))
        with VectorizeClient.local() as elsewhere:
            moved = copy_records(client.index("docs"), elsewhere.index("docs"), verify=True)
            assert moved.texts == 1
            there = kind.over(elsewhere, text_index=True)
            await call(there, "reindex_texts")
            await _finds_all(kind, call, there)
    if place == "directory":
        with kind.local(path=where, text_index=True) as store:
            await _finds_all(kind, call, store)
            await kind.delete(call, store, ["a"])
        with VectorizeClient.local(where) as client:
            left = await kind.search_by(call, kind.over(client, text_index=True), "text", "write")
            assert left == []


async def _finds_all(kind: Kind, call: Call, store: Any) -> None:
    assert [text for _, text, _ in await kind.get(call, store, ["a"])] == [ROWS[0][1]]
    (found,) = await kind.search_by(call, store, "text", "ERR_STREAM_DESTROYED")
    assert found[0] == "a"


@needs_fds
@pytest.mark.parametrize("way", ["as it is", "loaded", "copied", "a client's"])
@both_stores
@both_ways
async def test_a_store_that_is_closed_keeps_no_file_open(
    kind: Kind, call: Call, way: str, tmp_path: Path
) -> None:
    store = kind.local(path=tmp_path, text_index=True)
    await kind.add_rows(call, store, ROWS)
    with VectorizeClient.local(tmp_path) as client:
        used = {
            "as it is": lambda: store,
            "loaded": lambda: pickle.loads(pickle.dumps(store)),
            "copied": lambda: copy.deepcopy(store),
            "a client's": lambda: kind.over(client, text_index=True),
        }[way]()
        await _finds_all(kind, call, used)
        assert _open_in(tmp_path)
        used.close()
        store.close()
    assert _open_in(tmp_path) == []


@pytest.mark.parametrize("way", ["as it is", "loaded", "a client's"])
@pytest.mark.parametrize("text_index", [None, True])
@both_stores
@both_ways
async def test_with_the_limits_of_cloudflare_texts_are_no_longer_than_d1_takes(
    kind: Kind, call: Call, text_index: bool | None, way: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"text_index": text_index}
    with VectorizeClient.local(tmp_path, limits="cloudflare") as client:
        if way == "a client's":
            store = kind.over(client, **options)
        else:
            store = kind.local(path=tmp_path, limits="cloudflare", **options)
        if way == "loaded":
            store = pickle.loads(pickle.dumps(store))
        with store:
            most = 1_900_000 - 200 if text_index else 1_999_000
            await kind.add_rows(call, store, [("a", "word " * (most // 5), {})])
            with pytest.raises(InvalidVectorError, match=r"'b'.*Split it into smaller chunks"):
                await kind.add_rows(call, store, [("b", "word " * (most // 5 + 99), {})])
    with kind.local(path=tmp_path, **options) as store:
        await kind.add_rows(call, store, [("b", "word " * (most // 5 + 99), {})])


@pytest.mark.parametrize("most", [1_900_000, 1_999_000])
@both_ways
async def test_a_text_that_is_too_long_is_refused_before_any_is_embedded(
    call: Call, most: int
) -> None:
    with LANGCHAIN.local(text_index=True, limits="cloudflare") as store:
        texts = ["short", "word " * (most // 5 + 99)]
        with pytest.raises(InvalidVectorError, match=r"^position 1, record 'b': .*chunks$"):
            await call(store, "add_texts", texts, ids=["a", "b"])
        assert store.embeddings.batches == []


@needs_fds
@both_stores
@both_ways
async def test_a_store_that_is_closed_opens_no_file_again(
    kind: Kind, call: Call, tmp_path: Path
) -> None:
    store = kind.local(path=tmp_path, text_index=True)
    await kind.add_rows(call, store, ROWS)
    store.close()
    closed = pytest.raises(VectorizeError, match="this client is closed")
    with closed:
        await call(store, "explain_text", "destroy")
    for mode in ("dense", "text", "hybrid"):
        with closed:
            await kind.search_by(call, store, mode, "destroy")
    for method in ("reindex_texts", "count"):
        with closed:
            await call(store, method)
    with closed:
        await kind.get(call, store, ["a"])
    with closed:
        await kind.add_rows(call, store, ROWS)
    assert _open_in(tmp_path) == []


@both_ways
async def test_a_store_that_is_closed_asks_no_model(call: Call) -> None:
    store = LANGCHAIN.local()
    await call(store, "add_texts", ["one"], ids=["1"])
    model = store.embeddings
    model.batches.clear()
    store.close()
    closed = pytest.raises(VectorizeError, match="this client is closed")
    for texts in (["two"], iter(["two"])):
        with closed:
            await call(store, "add_texts", texts)
    for search in ("similarity_search", "max_marginal_relevance_search"):
        with closed:
            await call(store, search, "two")
    assert (model.batches, model.queries) == ([], [])


@needs_fds
async def test_a_page_that_ends_keeps_no_text_open(tmp_path: Path) -> None:
    with LANGCHAIN.local(path=tmp_path) as store:
        store.add_texts([ROWS[0][1]], ids=["a"])
    with VectorizeClient.local(tmp_path) as client:
        account = Account(client, lambda event: None)
        (shown,) = await (await account.store("docs")).get(account.io, ["a"])
        assert shown.text == ROWS[0][1]
        assert any("texts" in name for name in _open_in(tmp_path))
        await account.aclose()
        assert not any("texts" in name for name in _open_in(tmp_path))


def _open_in(folder: Path) -> list[str]:
    links = (os.readlink(link) for link in FDS.iterdir() if link.exists())
    return [link for link in links if link.startswith(str(folder))]
