"""The code of the pages on the store, and of its docstring, runs as it stands there."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_vectorize import VectorizeVectorStore
from tests.documents import examples, run
from tests.llama_index.helpers import MODEL, SPLITTER, documents, text_node

COUNT = 400


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def local() -> Iterator[VectorizeVectorStore]:
    with VectorizeVectorStore.local("docs", metadata_indexes={"year": "number"}) as store:
        yield store


def texts(nodes: Any) -> list[str]:
    return [node.get_content() for node in nodes]


async def test_tenants(local: VectorizeVectorStore) -> None:
    names: dict[str, Any] = {"store": local}
    for heading, code in examples("tenants.md", "LlamaIndex").items():
        await run(code, heading, names)
    assert texts([names["found"], names["got"]]) == [
        "Acme's terms of delivery",
        "Zeta's terms of delivery",
    ]
    (stored,) = names["everything"]
    assert stored != names["found"].node_id
    assert texts(local.get_nodes([stored])) == ["Acme's terms of delivery"]
    assert (names["acme"].count(), names["zeta"].count()) == (1, 0)


async def test_many_results(capsys: Any) -> None:
    with VectorizeVectorStore.local("docs", metadata_indexes={"length": "number"}) as store:
        store.add(text_node(f"{n}", length=n) for n in range(COUNT))
        index = VectorStoreIndex.from_vector_store(store)
        names: dict[str, Any] = {"store": store, "index": index}
        for heading, code in examples("many-results.md", "LlamaIndex").items():
            await run(code, heading, names)
    assert len(names["best"]) == 300
    assert len({node.node_id for node in names["diverse"]}) == 10
    assert (names["long_ones"], names["number"]) == (COUNT - 201,) * 2
    assert names["needed"] > 5
    assert "at most" in capsys.readouterr().out


async def test_concurrency(local: VectorizeVectorStore) -> None:
    index = VectorStoreIndex.from_vector_store(local)
    for text in ("one", "two", "three"):
        index.insert(Document(text=text))
    pages = examples("concurrency.md", "LlamaIndex")
    names: dict[str, Any] = {"store": local, "index": index}
    await run(pages["Threads"], "Threads", names)
    assert [texts(found) for found in names["answers"]] == [["one"], ["two"], ["three"]]
    await run(pages["Async"], "Async", names)
    assert [texts(task.result()) for task in names["tasks"]] == [["one"], ["two"]]
    await run(pages["Many calls at once"], "Many calls at once", names)
    assert [texts(found) for found in names["answers"]] == [["one"]] * 100


async def test_fastapi() -> None:
    names: dict[str, Any] = {"embed_model": MODEL, "VectorizeVectorStore": VectorizeVectorStore}
    await run(examples("concurrency.md", "LlamaIndex")["FastAPI"], "FastAPI", names)
    with TestClient(names["app"]) as client:
        for tenant in ("acme", "zeta"):
            assert client.post(f"/{tenant}/texts", json=[f"of {tenant}"]).status_code == 200
        for tenant in ("acme", "zeta"):
            found = client.get(f"/{tenant}/search", params={"q": "anything"})
            assert found.json() == [f"of {tenant}"]
        assert client.get("/nobody/search", params={"q": "anything"}).json() == []


async def test_writing(local: VectorizeVectorStore) -> None:
    (code,) = examples("writing.md", "LlamaIndex").values()
    given = documents("one", "two")
    names = {"store": local, "embed_model": MODEL, "splitter": SPLITTER, "documents": given}
    await run(code, "writing.md", names)
    assert sorted(texts(local.get_nodes(names["ids"]))) == ["one", "two"]


async def test_filters(local: VectorizeVectorStore) -> None:
    local.add([text_node(f"{year}", year=year) for year in (1863, 1963)])
    index = VectorStoreIndex.from_vector_store(local)
    names = {"store": local, "index": index}
    shown = await run(examples("filters.md")["LlamaIndex"], "LlamaIndex", names)
    assert texts(shown) == ["text 1963"]
    names["index"] = index
    retriever = index.as_retriever(filters=names["since"])
    assert texts(retriever.retrieve("q")) == ["text 1963"]


async def test_the_class_docstring(capsys: Any) -> None:
    blocks = (inspect.getdoc(VectorizeVectorStore) or "").split(".. code-block:: python\n\n")[1:]
    code = [re.split(r"\n {0,4}\S", block)[0] for block in blocks]
    assert len(code) == 12
    names: dict[str, Any] = {
        "documents": [
            Document(text=f"Of {year}", doc_id=f"{year}", metadata={"year": year})
            for year in (1863, 1896, 1961, 1963)
        ]
    }
    for block in code:
        await run(textwrap.dedent(block), "docstring", names)
    assert "Of 1963" in capsys.readouterr().out
    assert names["store"].count(namespace="customer-1") == 4
    names["store"].close()


async def test_upkeep(capsys: Any) -> None:
    pages = examples("upkeep.md", "LlamaIndex") | {
        heading: examples("upkeep.md")[heading]
        for heading in ("The index underneath", "Filtering by something new", "Starting again")
    }
    with VectorizeVectorStore.local("docs", metadata_indexes={"year": "number"}) as store:
        names: dict[str, Any] = {"store": store, "node_ids": ["1961"]}
        store.add(text_node(f"{n}", year=n, draft=True, author="a") for n in range(1_950, 2_000))
        store.add([text_node("rivers", year=1_900)])
        names["index"] = VectorStoreIndex.from_vector_store(store)
        for heading in ("The index underneath", "Reading a page", "Results with more"):
            shown = await run(pages[heading], heading, names)
            if heading == "The index underneath":
                assert shown == ["docs"]
        assert [node.node_id for node in names["page"]] == [f"{n}" for n in range(1_980, 1_990)]
        assert "rivers" in [near.node_id for near in names["near"]]
        assert all(near.score >= 0.4 and near.node.embedding for near in names["near"])
        await run(pages["Changing metadata"], "Changing metadata", names)
        (node,) = store.get_nodes(["1961"])
        assert node.metadata == {"year": 1961, "author": "a", "checked": True}
        await run(pages["Filtering by something new"], "Filtering by something new", names)
        assert store.count({"author": "a"}) == 50
        store.clear()
        docstore = SimpleDocumentStore()
        names["documents"] = documents("one", "two", "three")
        names["pipeline"] = IngestionPipeline(
            transformations=[SPLITTER, MODEL], vector_store=store, docstore=docstore
        )
        names["pipeline"].run(documents=names["documents"])
        store.delete("doc-0")
        await run(pages["Comparing with the sources"], "Comparing with the sources", names)
        assert "1 missing, 0 extra, 0 changed\n" in capsys.readouterr().out
        assert sorted(texts(store.get_nodes())) == ["one", "three", "two"]
        names["new_model"] = MODEL
        await run(pages["Another embedding model"], "Another embedding model", names)
        with names["new"] as new:
            assert new.compare(docstore) == store.compare(docstore)
            assert sorted(texts(new.get_nodes())) == ["one", "three", "two"]
        await run(pages["Starting again"], "Starting again", names)
        assert store.count() == 0
