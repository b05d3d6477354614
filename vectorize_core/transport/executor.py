"""What carries operations out: over HTTP, or in this process."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, TypeVar

from vectorize_core.api.operations import Op

T = TypeVar("T")
_NONE: Mapping[str, str] = MappingProxyType({})


class Answer(NamedTuple, Generic[T]):
    """The result of an operation, and what came with it over HTTP."""

    result: T
    headers: Mapping[str, str] = _NONE
    status: int | None = None


class Executor(Protocol):
    """Carries each operation out once, sync or async."""

    def send(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out without blocking the event loop; raises its typed error."""

    def close(self) -> None:
        """Free what sync calls hold; safe to call again."""

    async def aclose(self) -> None:
        """Free what sync and async calls hold; safe to call again."""
