"""Both stores on a cluster of LynseDB, with LangChain's own suite: a coordinator of two shards."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.kinds import Kind, both_stores
from tests.lynse.cluster import cluster
from tests.lynse.servers import KEY
from tests.lynse.test_lynse_stores import Suite
from tests.nightly import NIGHTLY
from tests.stores import sync_call
from vectorize_core.lynse import LynseClient

pytestmark = pytest.mark.skipif(not NIGHTLY, reason="three servers, so only at night")


@pytest.fixture(scope="module")
def on_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LynseClient]:
    with (
        cluster(tmp_path_factory) as server,
        LynseClient(server.url, database="standard", api_key=KEY) as client,
    ):
        client.database("standard").create_database()
        yield client


class TestOnACluster(Suite):
    __test__ = True

    @pytest.fixture
    def vectorstore(self, on_cluster: LynseClient) -> VectorizeVectorStore:
        return VectorizeVectorStore(
            self.get_embeddings(),
            index_name=f"docs{uuid4().hex}",
            client=on_cluster,
            create_index=True,
        )


@both_stores
async def test_words_are_found_on_all_shards(on_cluster: LynseClient, kind: Kind) -> None:
    store = kind.over(on_cluster, index_name=f"docs{uuid4().hex}")
    texts = [f"word{n % 3} of number {n}" for n in range(30)]
    await kind.add(sync_call, store, *texts)
    found = await kind.search_by(sync_call, store, "text", "word1", 50)
    assert {text for text, _ in found} == {*texts[1::3]}
    await kind.delete(sync_call, store, texts[1:20:3])
    found = await kind.search_by(sync_call, store, "text", "word1", 50)
    assert {text for text, _ in found} == {*texts[22::3]}
