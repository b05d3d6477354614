"""What the browser looks at: pages over embedded indexes, each on a port of its own."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import uvicorn
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from langchain_vectorize import VectorizeVectorStore
from vectorize_core import VectorizeClient
from vectorize_core.local.server import uvicorn_server

DIMENSIONS: Final = 128
SUBJECTS: Final = ("moon", "bread", "rivers", "clocks")
SCRIPT: Final = "<script>window.hit = 1</script>"
IMAGE: Final = "<img src=x onerror='window.hit = 1'>"
RIGHT_TO_LEFT: Final = "שלום עולם \u202e مرحبا"
EMOJI: Final = "👩\u200d👩\u200d👧\u200d👦🏳️\u200d🌈"
HOSTILE_IDS: Final = (SCRIPT, IMAGE, "javascript:alert(1)", "a/../b?c=d&e#f%2f", "x" * 64, EMOJI)


class Words(Embeddings):
    """Texts with words in common are near."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        values = np.full(DIMENSIONS, 0.01)
        for word in text.lower().split():
            values[zlib.crc32(word.strip("?.,").encode()) % DIMENSIONS] += 1.0
        return list(map(float, values))


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of an ASGI application, which is served in a thread."""
    with uvicorn_server.listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            if hasattr(app, "stop"):
                app.stop()
            server.should_exit = True
            thread.join()


def store(client: VectorizeClient, name: str, **options: Any) -> VectorizeVectorStore:
    """A store over an index, which it makes."""
    return VectorizeVectorStore(
        Words(), client=client, index_name=name, create_index=True, **options
    )


def fill(client: VectorizeClient) -> None:
    """Three indexes: one as people have it, a hostile one, and an empty one."""
    papers = store(client, "papers", metadata_indexes={"year": "number"})
    papers.add_documents(
        Document(
            id=f"{SUBJECTS[n % 4]}-{n:02}",
            page_content=f"A paper about {SUBJECTS[n % 4]}, number {n}.",
            metadata={"year": 1940 + n, "subject": SUBJECTS[n % 4]},
        )
        for n in range(60)
    )
    hostile = store(client, "hostile", metadata_indexes={IMAGE: "string"})
    texts = [f"{SCRIPT} {IMAGE}", IMAGE, RIGHT_TO_LEFT, "W" * 9_000, "", EMOJI]
    hostile.add_documents(
        Document(
            id=id_,
            page_content=text,
            metadata={IMAGE: SCRIPT, "deep": {SCRIPT: [IMAGE, {RIGHT_TO_LEFT: EMOJI}]}},
        )
        for id_, text in zip(HOSTILE_IDS, texts, strict=True)
    )
    client.create_index("empty", dimensions=DIMENSIONS)
