"""``with`` and ``async with`` for whatever has a `close` and an `aclose`."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class SyncClosing:
    """Closes at the end of a ``with`` block."""

    def close(self) -> None:
        """Free what is held; safe to call again."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClosing:
    """Closes at the end of an ``async with`` block."""

    async def aclose(self) -> None:
        """Free what is held; safe to call again."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
