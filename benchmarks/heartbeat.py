"""How late an event loop gets while the LangChain store works on it.

``python -m benchmarks.heartbeat`` adds 10,000 documents and makes 100 searches (384 dimensions),
by `aadd_documents` and `asimilarity_search`, beside a task that wants to run every 10 ms: into a
directory, and over HTTPS to a server in a process of its own. The promise is a slip of at most
50 ms at the 99th percentile. The embeddings are made beforehand. Computed is the time that the
loop's own thread had the processor between two beats.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from benchmarks.loopback import ACCOUNT, DIMENSIONS, INDEX, TOKEN, Server, metadata, text, vector_id
from benchmarks.turns import Look
from langchain_vectorize import VectorizeVectorStore
from vectorize_core import VectorizeClient

ADDED, SEARCHED, BEAT, PROMISE = 10_000, 100, 0.010, 0.050


class Ready(Embeddings):
    """Embeddings that are there already, as if another machine made them."""

    def __init__(self, rows: Sequence[list[float]]) -> None:
        self._rows = rows

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._rows[int(text.partition(":")[0]) % len(self._rows)]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


async def heartbeat(looks: list[Look]) -> None:
    """A look at each beat, until it is cancelled."""
    while True:
        due, computed = time.perf_counter() + BEAT, time.thread_time()
        await asyncio.sleep(BEAT)
        looks.append(Look(time.perf_counter() - due, time.thread_time() - computed))


async def measure(store: VectorizeVectorStore, documents: list[Document]) -> dict[str, list[Look]]:
    """Looks at the loop while adding, and while searching."""
    looks: dict[str, list[Look]] = {"adding": [], "searching": []}
    async with store:
        for doing, seen in looks.items():
            beating = asyncio.create_task(heartbeat(seen))
            if doing == "adding":
                await store.aadd_documents(documents)
            else:
                for number in range(SEARCHED):
                    await store.asimilarity_search(text(number), 10)
            beating.cancel()
    return looks


def said(looks: Sequence[Look]) -> str:
    """The slips in words; what the loop itself computed is not other programs' doing."""
    p50, p99, most = (float(np.percentile([look.late for look in looks], q)) for q in (50, 99, 100))
    computed = float(np.percentile([look.computed for look in looks], 99))
    kept = "kept" if p99 <= PROMISE else "not kept"
    return (
        f"{len(looks):4} beats, slip p50 {p50 * 1e3:5.1f} ms, p99 {p99 * 1e3:5.1f} ms, "
        f"most {most * 1e3:5.1f} ms; computed p99 {computed * 1e3:5.1f} ms; promise {kept}"
    )


def main() -> None:
    """Measure both places, and print what came of it."""
    rows = np.random.default_rng(0).standard_normal((1_000, DIMENSIONS)).tolist()
    documents = [Document(text(n), id=vector_id(n), metadata=metadata(n)) for n in range(ADDED)]
    for place in ("directory", "server"):
        with ExitStack() as stack:
            if place == "directory":
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                store = VectorizeVectorStore(Ready(rows), index_name=INDEX, path=Path(folder) / "d")
            else:
                server = stack.enter_context(Server("real"))
                client = VectorizeClient(ACCOUNT, TOKEN, base_url=server.base_url)
                store = VectorizeVectorStore(
                    Ready(rows), index_name=INDEX, client=client, create_index=True
                )
            for doing, looks in asyncio.run(measure(store, documents)).items():
                print(f"{place:>9} {doing:>9}: {said(looks)}")


if __name__ == "__main__":
    main()
