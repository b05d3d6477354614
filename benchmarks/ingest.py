"""Memory of a long write: many texts out of a generator, in one call of the LangChain store.

``python -m benchmarks.ingest [texts]`` writes 25,000 texts of about 1,000 characters (384
dimensions) into an embedded index in a temporary directory, prints the resident memory as it
goes, and reads every text back. Flat means: the last tenth needs no more than the first, but for
the ids that the call returns.
"""

import asyncio
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings

from langchain_vectorize import VectorizeVectorStore
from vectorize_core import BatchReport, VectorizeClient

DIMENSIONS = 384
BATCH = 500


class HashEmbeddings(Embeddings):
    """A vector that is decided by the text and costs next to nothing to make."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        values: list[float] = np.random.default_rng(seed).standard_normal(DIMENSIONS).tolist()
        return values


def text(number: int) -> str:
    """About a thousand characters, different for each number."""
    return f"text {number}: " + f"{hashlib.sha256(str(number).encode()).hexdigest()} " * 15


def resident_mb() -> float:
    """Resident memory of this process in MB (Linux; 0 elsewhere)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / 1e6 if statm.exists() else 0.0


def write(store: VectorizeVectorStore, total: int) -> list[tuple[int, float]]:
    """Add the texts; resident memory after each batch."""
    samples: list[tuple[int, float]] = []

    def sample(report: BatchReport) -> None:
        samples.append((report.written, resident_mb()))

    texts: Iterator[str] = (text(number) for number in range(total))
    ids = store.add_texts(texts, ids=(f"id-{n}" for n in range(total)), on_batch=sample)
    assert len(ids) == total
    return samples


async def read_back(store: VectorizeVectorStore, total: int) -> int:
    """How many texts are found again, unchanged."""
    found = 0
    for start in range(0, total, 1_000):
        ids = [f"id-{n}" for n in range(start, min(start + 1_000, total))]
        for document in await store.aget_by_ids(ids):
            found += document.page_content == text(int(str(document.id)[3:]))
    return found


def main() -> None:
    """Write, print, read back."""
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 25_000
    with tempfile.TemporaryDirectory() as folder, VectorizeClient.local(folder) as client:
        store = VectorizeVectorStore(
            HashEmbeddings(),
            client=client,
            index_name="texts",
            create_index=True,
            batch_size=BATCH,
        )
        started = time.perf_counter()
        samples = write(store, total)
        seconds = time.perf_counter() - started
        tenth = max(len(samples) // 10, 1)
        for written, memory in samples[tenth - 1 :: tenth]:
            print(f"  {written:>7,} written  {memory:7.1f} MB resident")
        first = max(memory for _, memory in samples[: 2 * tenth])
        last = max(memory for _, memory in samples[-tenth:])
        print(f"{total:,} texts in {seconds:.1f} s, embedding included")
        print(f"resident memory, last tenth / first fifth: {last / first:.3f}")
        found = asyncio.run(read_back(store, total))
        print(f"found again, text unchanged: {found:,} of {total:,}")


if __name__ == "__main__":
    main()
