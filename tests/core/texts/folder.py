"""A store of LangChain's that lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from langchain_core.stores import BaseStore


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
