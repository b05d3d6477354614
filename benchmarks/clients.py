"""The contenders: our index and store, a loop written by hand, and langchain-cloudflare.

Each has the same texts, embeddings, ids and metadata to add, and the same queries to search for.
A method and its awaited twin, with an ``a`` before its name, do the same.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import orjson
from langchain_core.embeddings import Embeddings

from benchmarks.loopback import (
    ACCOUNT,
    DIMENSIONS,
    INDEX,
    TOKEN,
    Server,
    metadata,
    text,
    vector_id,
)
from benchmarks.turns import in_tasks
from langchain_vectorize import VectorizeVectorStore
from vectorize_core import Vector, VectorizeClient
from vectorize_core.models import Values
from vectorize_core.writes.batching import DEFAULT_BATCH_SIZE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_cloudflare.vectorstores import MAX_INSERT_SIZE, CloudflareVectorize

K = 10
_HEADERS = {"Authorization": f"Bearer {TOKEN}"}
_NDJSON = {"Content-Type": "application/x-ndjson"}
_JSON = {"Content-Type": "application/json"}
_SLICE = 64
Rows = Callable[[slice], tuple[Values, list[dict[str, Any]]]]
"""Values and metadata of some of the records."""


class Work(Embeddings):
    """What there is to add and to search for; as an embedding model it only looks vectors up."""

    def __init__(self, size: int) -> None:
        rows = np.random.default_rng(0).standard_normal((size, DIMENSIONS)).astype(np.float32)
        self.rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        self._ids: dict[int, list[str]] = {}
        self.texts = [text(n) for n in range(size)]
        self.metadatas = [metadata(n) for n in range(size)]
        self.stored = stored(self.metadatas, self.texts)
        self._embedded: dict[str, list[float]] = dict(
            zip(self.texts, self.rows.tolist(), strict=True)
        )

    def ids(self, turn: int) -> list[str]:
        """Ids that are new in each turn, as they are when texts are added for the first time."""
        if turn not in self._ids:
            size = len(self.texts)
            self._ids[turn] = [vector_id(turn * size + n) for n in range(size)]
        return self._ids[turn]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self._embedded[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._embedded[text]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


def stored(metadatas: list[dict[str, Any]], texts: list[str]) -> list[dict[str, Any]]:
    """Metadata and text as our stores write them, but for the bucket, here the same for all."""
    layout = {"_vs": '{"v":1}', "_vs_bucket": 524_288, "_vs_own": True}
    return [{**given, "text": text, **layout} for given, text in zip(metadatas, texts, strict=True)]


class ByHand:
    """httpx and orjson, with the requests that our `Index` and our store send."""

    def __init__(self, server: Server, work: Work) -> None:
        self._work = work
        self._url = server.index_url
        self._client = httpx.Client(headers=_HEADERS, timeout=60)
        self._async_client = httpx.AsyncClient(headers=_HEADERS, timeout=60)

    def add_vectors(self, at_once: int, turn: int) -> None:
        self._add(self._vectors, at_once, turn)

    async def aadd_vectors(self, at_once: int, turn: int) -> None:
        await self._aadd(self._vectors, at_once, turn)

    def add_texts(self, at_once: int, turn: int) -> None:
        self._add(self._texts, at_once, turn)

    async def aadd_texts(self, at_once: int, turn: int) -> None:
        await self._aadd(self._texts, at_once, turn)

    def search(self, vector: Values) -> int:
        answer = self._client.post(f"{self._url}/query", content=_query(vector), headers=_JSON)
        return len(_result(answer)["matches"])

    async def asearch(self, vector: Values) -> int:
        url = f"{self._url}/query"
        answer = await self._async_client.post(url, content=_query(vector), headers=_JSON)
        return len(_result(answer)["matches"])

    def _add(self, rows: Rows, at_once: int, turn: int) -> None:
        ids = self._work.ids(turn)

        def send(part: slice) -> None:
            body = b"".join(_lines(ids[part], *rows(part)))
            _result(self._client.post(f"{self._url}/upsert", content=body, headers=_NDJSON))

        if at_once == 1:
            for part in self._parts():
                send(part)
        else:
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(send, self._parts()))

    async def _aadd(self, rows: Rows, at_once: int, turn: int) -> None:
        url, ids = f"{self._url}/upsert", self._work.ids(turn)

        async def send(part: slice) -> None:
            slices = []
            for lines in _lines(ids[part], *rows(part)):
                slices.append(lines)
                # As ours do: the loop gets its turn after every slice.
                await asyncio.sleep(0)
            body = b"".join(slices)
            _result(await self._async_client.post(url, content=body, headers=_NDJSON))

        await in_tasks(send, self._parts(), at_once)

    def _parts(self) -> list[slice]:
        step = DEFAULT_BATCH_SIZE
        return [slice(at, at + step) for at in range(0, len(self._work.texts), step)]

    def _vectors(self, part: slice) -> tuple[Values, list[dict[str, Any]]]:
        return self._work.rows[part], self._work.stored[part]

    def _texts(self, part: slice) -> tuple[Values, list[dict[str, Any]]]:
        texts = self._work.texts[part]
        rows = np.asarray(self._work.embed_documents(texts), dtype=np.float32)
        return rows, stored(self._work.metadatas[part], texts)


def _lines(ids: list[str], rows: Values, metadatas: list[dict[str, Any]]) -> Iterator[bytes]:
    for at in range(0, len(ids), _SLICE):
        yield b"".join(
            orjson.dumps(
                {"id": ids[n], "values": rows[n], "metadata": metadatas[n]},
                option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
            )
            for n in range(at, min(at + _SLICE, len(ids)))
        )


def _query(vector: Values) -> bytes:
    query = {"topK": K, "returnValues": False, "returnMetadata": "all", "vector": vector}
    return orjson.dumps(query, option=orjson.OPT_SERIALIZE_NUMPY)


def _result(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return orjson.loads(answer.content)["result"]


class Ours:
    """`Index`, `AsyncIndex` and the LangChain store."""

    def __init__(self, server: Server, work: Work) -> None:
        self._work = work
        self._client = VectorizeClient(ACCOUNT, TOKEN, base_url=server.base_url)
        self._index = self._client.index(INDEX)
        self._async_index = self._client.to_async().index(INDEX)
        # On the local server a search also finds what langchain-cloudflare has written without.
        self._store = VectorizeVectorStore(
            work, client=self._client, index_name=INDEX, on_missing_text="empty"
        )

    def create_index(self) -> None:
        """Where there is none yet."""
        self._client.create_index(INDEX, dimensions=DIMENSIONS, record_layout=True)

    def upsert(self, turn: int) -> None:
        self._index.upsert(self._vectors(turn))

    async def aupsert(self, turn: int) -> None:
        await self._async_index.upsert(self._vectors(turn))

    def add_texts(self, turn: int) -> None:
        work = self._work
        self._store.add_texts(work.texts, work.metadatas, ids=work.ids(turn))

    async def aadd_texts(self, turn: int) -> None:
        work = self._work
        await self._store.aadd_texts(work.texts, work.metadatas, ids=work.ids(turn))

    def query(self, vector: Values) -> int:
        return len(self._index.query(vector, K, return_metadata="all"))

    async def aquery(self, vector: Values) -> int:
        return len(await self._async_index.query(vector, K, return_metadata="all"))

    def search(self, text: str) -> int:
        return len(self._store.similarity_search(text, K))

    async def asearch(self, text: str) -> int:
        return len(await self._store.asimilarity_search(text, K))

    def _vectors(self, turn: int) -> list[Vector]:
        work = self._work
        records = zip(work.ids(turn), work.rows, work.stored, strict=True)
        return [Vector(vector_id, row, None, stored) for vector_id, row, stored in records]


class LangchainCloudflare:
    """`CloudflareVectorize` as it comes, in calls as large as it takes.

    It asks for 20 matches whatever k is.
    """

    def __init__(self, server: Server, work: Work) -> None:
        self._work = work
        self._store = CloudflareVectorize(
            work, account_id=ACCOUNT, api_token=TOKEN, base_url=server.base_url, index_name=INDEX
        )

    def add_texts(self, turn: int) -> None:
        for call in self._calls(turn):
            self._store.add_texts(**call)

    async def aadd_texts(self, turn: int) -> None:
        for call in self._calls(turn):
            await self._store.aadd_texts(**call)

    def search(self, text: str) -> int:
        return len(self._store.similarity_search(text, K, return_metadata="all"))

    async def asearch(self, text: str) -> int:
        return len(await self._store.asimilarity_search(text, K, return_metadata="all"))

    def _calls(self, turn: int) -> Iterator[dict[str, Any]]:
        work = self._work
        for start in range(0, len(work.texts), MAX_INSERT_SIZE):
            part = slice(start, start + MAX_INSERT_SIZE)
            yield {
                "texts": work.texts[part],
                "metadatas": work.metadatas[part],
                "ids": work.ids(turn)[part],
                "upsert": True,
            }
