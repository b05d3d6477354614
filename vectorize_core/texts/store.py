"""What a store of texts can do: get, put and delete many, by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from vectorize_core.transport.io import Io

T = TypeVar("T")


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """``items`` in parts of ``size``, the last one shorter."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class TextStore(ABC):
    """Texts by name, for the records of an index that are too long for Vectorize.

    Each method is a flow: it awaits nothing but its ``io``, so that it serves sync and async code.
    Blocking work goes through ``io.offload``, an object with methods of both kinds through
    ``io.either``. Names are of letters, digits and ``-``, at most 68 of them; of texts that other
    clients keep here (``plain_ids``) they are the ids of their vectors. All methods may be called
    from several threads and processes, and repeated.
    """

    max_bytes: int | None = None
    """How many bytes of UTF-8 a text may have; None for any number."""
    plain_ids: bool = False
    """Whether other clients keep texts here under the ids of their vectors."""

    @abstractmethod
    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        """The texts of these names, of an index; those that are not there are left out."""

    @abstractmethod
    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts, replacing those that are there.

        When it returns they are kept durably. If it fails, a text may be there only if those
        before it in ``texts`` are.
        """

    @abstractmethod
    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete the texts of these names; unknown names are no error."""

    def close(self) -> None:  # noqa: B027 - most stores hold nothing open
        """Free what is held open; safe to call again."""
