"""A store of LlamaIndex' that lasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llama_index.core.storage.kvstore import SimpleKVStore


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
