"""``with`` and ``async with`` for what has `close` and `aclose`."""

from __future__ import annotations

from typing import Self


class SyncClosing:
    """Closes at the end of a ``with`` block."""

    def close(self) -> None:
        """Free what is held; safe to call again."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClosing:
    """Closes at the end of an ``async with`` block."""

    async def aclose(self) -> None:
        """Free what is held; safe to call again."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
