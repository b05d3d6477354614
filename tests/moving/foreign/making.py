"""Files as each project's own client makes them: ``python -m tests...making FOLDER``.

A program of its own: these clients take seconds to import, start threads, and warn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.moving.foreign.postgres import Postgres
from tests.moving.foreign.records import DIMENSIONS, documents, nodes, vector


def embeddings() -> Any:
    """A model that finds the vectors of texts by the ids of their documents."""
    from langchain_core.embeddings import Embeddings

    ids = {document.page_content: document.id for document in documents()}

    class Known(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vector(str(ids.get(text))) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return vector(text)

    return Known()


def chroma(folder: Path) -> None:
    """Four collections: of both frameworks, one that is half saved, and one that is not at all."""
    import chromadb
    from langchain_chroma import Chroma
    from llama_index.vector_stores.chroma import ChromaVectorStore

    client = chromadb.PersistentClient(str(folder))
    Chroma("docs", embeddings(), client=client).add_documents(documents())
    ours = client.create_collection("llama", configuration={"hnsw": {"space": "cosine"}})
    ChromaVectorStore(chroma_collection=ours).add(nodes())
    for space in ("l2", "cosine", "ip"):
        config = {"hnsw": {"space": space, "sync_threshold": 10, "batch_size": 5}}
        some = client.create_collection(f"some-{space}", configuration=config)
        for start in range(0, 45, 9):
            ids = [f"r{n}" for n in range(start, start + 9)]
            some.add(
                ids=ids,
                embeddings=[[3 * value for value in vector(name)] for name in ids],
                documents=[f"text of {name}" for name in ids],
                metadatas=[{"list": [1, 2, n], "n": n} for n in range(start, start + 9)],
            )
        # Some of these are saved and some in the log.
        some.update(ids=["r1", "r44"], embeddings=[vector("new"), vector("newer")])
        some.update(ids=["r2"], metadatas=[{"n": 99}])
        some.delete(ids=["r3", "r43"])
        some.add(ids=["r3"], embeddings=[vector("again")])
        some.add(ids=["r4"], embeddings=[vector("ignored")], documents=["ignored"])
        some.upsert(ids=["r5", "last"], embeddings=[vector("put"), vector("last")])
        found = some.get(include=["embeddings", "documents", "metadatas"])
        (folder / f"{space}.json").write_text(_json(found), encoding="utf-8")
    client.create_collection("empty")


def _json(found: Any) -> str:
    import json

    columns = found["ids"], found["embeddings"].tolist(), found["documents"], found["metadatas"]
    return json.dumps(list(zip(*columns, strict=True)))


def qdrant(folder: Path) -> None:
    """A local directory, and its points as the scroll API answers them."""
    from langchain_qdrant import QdrantVectorStore
    from llama_index.vector_stores.qdrant import QdrantVectorStore as LlamaStore
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder))
    params = models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)
    client.create_collection("docs", vectors_config=params)
    QdrantVectorStore(client, "docs", embeddings()).add_documents(documents())
    LlamaStore("llama", client=client).add(nodes())
    client.create_collection(
        "named",
        vectors_config={
            "dense": models.VectorParams(size=DIMENSIONS, distance=models.Distance.DOT),
            "small": models.VectorParams(size=2, distance=models.Distance.MANHATTAN),
        },
        sparse_vectors_config={"sparse": models.SparseVectorParams()},
    )
    sparse = models.SparseVector(indices=[1], values=[0.5])
    vectors: Any = {"dense": vector("1"), "small": [1.0, 2.0], "sparse": sparse}
    payload = {"document": "a text", "nested": {"a": [1, None, "x"]}}
    client.upsert(
        "named",
        [
            models.PointStruct(id=1, vector=vectors, payload=payload),
            models.PointStruct(id=2, vector={"dense": vector("2")}, payload=None),
        ],
    )
    for name in ("docs", "llama", "named"):
        points, _ = client.scroll(name, with_vectors=True, limit=100)
        result = models.ScrollResult(points=points).model_dump_json()
        # As the server wraps every answer.
        answer = f'{{"result":{result},"status":"ok","time":0.001}}'
        (folder / f"{name}.json").write_text(answer, encoding="utf-8")
        lines = "\n".join(point.model_dump_json() for point in points)
        (folder / f"{name}.ndjson").write_text(lines, encoding="utf-8")
    client.close()


def faiss(folder: Path) -> None:
    """A pair of each metric, and one of an index that is not flat."""
    import datetime as dt

    import faiss as library
    import numpy as np
    from langchain_community.docstore.in_memory import InMemoryDocstore
    from langchain_community.vectorstores import FAISS
    from langchain_community.vectorstores.utils import DistanceStrategy
    from langchain_core.documents import Document

    store = FAISS.from_documents(documents(), embeddings(), ids=[d.id for d in documents()])
    store.save_local(str(folder))
    typed = {
        "day": dt.date(1863, 11, 19),
        "time": dt.datetime(1863, 11, 19, 12, tzinfo=dt.UTC),
        "number": np.float64(0.5),
        "count": np.int64(7),
        "tags": {"a", "b"},
    }
    store = FAISS(
        embeddings(),
        library.IndexFlatIP(DIMENSIONS),
        InMemoryDocstore(),
        {},
        distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT,
    )
    store.add_embeddings([("typed", vector("typed"))], [typed], ["typed"])
    store.delete(["typed"])
    store.add_embeddings([("first", vector("first"))], [{}], ["first"])
    store.add_embeddings([("typed", vector("typed"))], [typed], ["typed"])
    store.save_local(str(folder), "inner")
    store = FAISS(embeddings(), library.IndexHNSWFlat(DIMENSIONS, 4), InMemoryDocstore(), {})
    store.add_embeddings([("a", vector("a"))], ids=["a"])
    store.save_local(str(folder), "graph")
    store = FAISS.from_embeddings([("a", vector("a"))], embeddings(), [{"of": Document("x")}])
    store.save_local(str(folder), "nested")


def simple(folder: Path) -> None:
    """What LlamaIndex persists."""
    from llama_index.core import MockEmbedding, VectorStoreIndex

    index = VectorStoreIndex(nodes(), embed_model=MockEmbedding(DIMENSIONS))
    index.storage_context.persist(str(folder))


def pgvector(folder: Path) -> None:
    """A database with tables of both frameworks, and one of nobody."""
    from langchain_postgres import PGVector
    from llama_index.vector_stores.postgres import PGVectorStore

    with Postgres(folder, create=True) as server:
        with server.connect() as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute(
                "CREATE TABLE items (key int, embedding halfvec(32), body text, day date, no text)"
            )
            row = "INSERT INTO items VALUES (%s, %s, %s, '1863-11-19', NULL)"
            for key in (1, 2):
                connection.execute(row, (key, str(vector(str(key))), f"text {key}"))
        url = server.url.replace("://", "+psycopg://")
        PGVector(embeddings(), connection=url, collection_name="ours").add_documents(documents())
        PGVectorStore.from_params(
            connection_string=server.url.replace("://", "+psycopg2://"),
            async_connection_string=server.url.replace("://", "+asyncpg://"),
            table_name="ours",
            embed_dim=DIMENSIONS,
        ).add(nodes())


def main(folder: Path) -> None:
    # On Windows PostgreSQL has no sockets in a folder.
    last = (pgvector,) if sys.platform != "win32" else ()
    for make in (chroma, qdrant, faiss, simple, *last):
        place = folder / make.__name__
        place.mkdir()
        make(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
