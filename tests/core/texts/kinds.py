"""Every kind of store of texts, durable or not, and a store over an embedded Vectorize with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.stores import BaseStore, InMemoryByteStore
from llama_index.core.storage.kvstore import SimpleKVStore

from langchain_vectorize.texts import BaseStoreTexts
from llama_index_vectorize.texts import KVStoreTexts
from vectorize_core.texts import D1Texts, SqliteTexts, TextStore

MakeTexts = Callable[[Path], TextStore]


class FolderStore(BaseStore[str, bytes]):
    """A LangChain store that keeps each value in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        paths = [self._folder / key for key in keys]
        return [path.read_bytes() if path.exists() else None for path in paths]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        for key, value in key_value_pairs:
            (self._folder / key).write_bytes(value)

    def mdelete(self, keys: Sequence[str]) -> None:
        for key in keys:
            (self._folder / key).unlink()

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        for path in self._folder.iterdir():
            if path.name.startswith(prefix or ""):
                yield path.name


class FileKVStore(SimpleKVStore):
    """LlamaIndex' own, written to its file after each change."""

    def __init__(self, file: Path) -> None:
        kept = SimpleKVStore.from_persist_path(str(file)).to_dict() if file.exists() else None
        super().__init__(kept)
        self._file = file

    def put(self, key: str, val: dict[str, Any], collection: str = "data") -> None:
        super().put(key, val, collection)
        self.persist(str(self._file))

    def delete(self, key: str, collection: str = "data") -> bool:
        deleted = super().delete(key, collection)
        self.persist(str(self._file))
        return deleted


DURABLE: dict[str, MakeTexts] = {
    "SQLite": SqliteTexts,
    "D1": lambda _: D1Texts("texts"),
    "BaseStore": lambda path: BaseStoreTexts(FolderStore(path / "store")),
    "BaseKVStore": lambda path: KVStoreTexts(FileKVStore(path / "kv.json")),
}
"""Those that another process can open; D1's is that of the client."""
EVERY: dict[str, MakeTexts] = {
    **DURABLE,
    "SQLite in memory": lambda _: SqliteTexts(),
    "D1 in a table of its own": lambda _: D1Texts("texts", table='my "texts"'),
    "BaseStore in memory": lambda _: BaseStoreTexts(InMemoryByteStore()),
    "BaseStore of strings": lambda path: BaseStoreTexts(InMemoryByteStore(), as_bytes=False),
    "BaseKVStore in memory": lambda _: KVStoreTexts(SimpleKVStore()),
}
