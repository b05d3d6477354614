"""Which files and rooms a call passes: add, search with a filter, delete by a filter.

    python -m benchmarks.rooms            how many, through both stores
    python -m benchmarks.rooms --files    and which

A file is passed if code of it runs. The stores work on an embedded Vectorize in memory, which is
one file here, its executor, and SQLite is one: what these do to answer is not the way of the call.
Nor is it that Python 3.14 runs annotations when they are first read.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

import langchain_vectorize
import llama_index_vectorize
from vectorize_core.models import IndexType

Calls = Iterator[tuple[str, Callable[[], object]]]

ROOT = Path(__file__).parent.parent
PACKAGES = ("vectorize_core", "langchain_vectorize", "llama_index_vectorize")
ENDS = [str(ROOT / "vectorize_core" / name) for name in ("local/executor.py", "sqlite/file.py")]
MODEL = DeterministicFakeEmbedding(size=32)
YEAR: Final[dict[str, IndexType]] = {"year": "number"}


def passed(call: Callable[[], object]) -> list[str]:
    """The files that a call passes, in whichever threads."""
    names: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        called = event == "call" and frame.f_code.co_name != "__annotate__"
        if called and not _is_beyond_the_end(frame.f_back):
            names.add(frame.f_code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    files = (Path(name).relative_to(ROOT) for name in names if name.startswith(str(ROOT)))
    return sorted(file.as_posix() for file in files if file.parts[0] in PACKAGES)


def _is_beyond_the_end(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename in ENDS:
            return True
        frame = frame.f_back
    return False


def langchain() -> Calls:
    """What is traced through the LangChain store."""
    store = langchain_vectorize.VectorizeVectorStore(
        MODEL, index_name="docs", path=":memory:", metadata_indexes=YEAR
    )
    since = {"year": {"$gte": 1960}}
    texts, years = ["one", "two"], [{"year": 1960}, {"year": 1961}]
    store.add_texts(texts, years)
    yield "add", lambda: store.add_texts(texts, years)
    yield "search", lambda: store.similarity_search("one", k=1, filter=since)
    yield "delete", lambda: store.delete(filter=since)
    store.close()


def llama_index() -> Calls:
    """What is traced through the LlamaIndex store."""
    store = llama_index_vectorize.VectorizeVectorStore(
        "docs", path=":memory:", metadata_indexes=YEAR
    )
    by_year = MetadataFilter(key="year", value=1960, operator=FilterOperator.GTE)
    since = MetadataFilters(filters=[by_year])
    one = MODEL.embed_query("one")
    nodes = [TextNode(text="one", metadata={"year": year}, embedding=one) for year in (1960, 1961)]
    query = VectorStoreQuery(query_embedding=one, similarity_top_k=1, filters=since)
    store.add(nodes)
    yield "add", lambda: store.add(nodes)
    yield "search", lambda: store.query(query)
    yield "delete", lambda: store.delete_nodes(filters=since)
    store.close()


def main() -> None:
    """Print what each call passes."""
    for name, calls in (("langchain", langchain()), ("llama_index", llama_index())):
        for what, call in calls:
            files = passed(call)
            rooms = Counter(file.rpartition("/")[0] for file in files)
            print(f"{name:12} {what:7} {len(files):3} files, {len(rooms)} rooms")
            if "--files" in sys.argv:
                print("".join(f"    {file}\n" for file in files))


if __name__ == "__main__":
    main()
