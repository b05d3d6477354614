"""Every kind of store of texts, durable or not. A framework is loaded where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vectorize_core.texts import D1Texts, SqliteTexts, TextStore

MakeTexts = Callable[[Path], TextStore]


def _in_base_store(path: Path) -> TextStore:
    from langchain_vectorize.texts import BaseStoreTexts
    from tests.core.texts.folder import FolderStore

    return BaseStoreTexts(FolderStore(path / "store"))


def _in_base_store_in_memory(_: Path, **options: bool) -> TextStore:
    from langchain_core.stores import InMemoryByteStore

    from langchain_vectorize.texts import BaseStoreTexts

    return BaseStoreTexts(InMemoryByteStore(), **options)


def _in_kv_store(path: Path) -> TextStore:
    from llama_index_vectorize.texts import KVStoreTexts
    from tests.core.texts.file_kv import FileKVStore

    return KVStoreTexts(FileKVStore(path / "kv.json"))


def _in_kv_store_in_memory(_: Path) -> TextStore:
    from llama_index.core.storage.kvstore import SimpleKVStore

    from llama_index_vectorize.texts import KVStoreTexts

    return KVStoreTexts(SimpleKVStore())


DURABLE: dict[str, MakeTexts] = {
    "SQLite": SqliteTexts,
    "D1": lambda _: D1Texts("texts"),
    "BaseStore": _in_base_store,
    "BaseKVStore": _in_kv_store,
}
"""Those that another process can open; D1's is that of the client."""
EVERY: dict[str, MakeTexts] = {
    **DURABLE,
    "SQLite in memory": lambda _: SqliteTexts(),
    "D1 in a table of its own": lambda _: D1Texts("texts", table='my "texts"'),
    "BaseStore in memory": _in_base_store_in_memory,
    "BaseStore of strings": lambda path: _in_base_store_in_memory(path, as_bytes=False),
    "BaseKVStore in memory": _in_kv_store_in_memory,
}
