"""A text index that shows what is in another one; ``step`` is called around each change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vectorize_core.texts.fts import TextRow
from vectorize_core.texts.sqlite_index import SqliteTextIndex
from vectorize_core.transport.io import Io


class SteppingTextIndex(SqliteTextIndex):
    def __init__(self, *args: Any, step: Callable[[], None] = lambda: None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.step = step

    async def put(self, io: Io, index: str, rows: Sequence[TextRow], token: str, /) -> None:
        self.step()
        await super().put(io, index, rows, token)
        self.step()

    async def delete(
        self, io: Io, index: str, puts: Mapping[str, Sequence[str]], /, *, over: str | None = None
    ) -> None:
        for left, (record_id, some) in zip(range(len(puts))[::-1], puts.items(), strict=True):
            self.step()
            await super().delete(io, index, {record_id: some}, over=None if left else over)
        self.step()
