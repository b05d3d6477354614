"""What a store of texts can do: get, put and delete many, by name; and what the names are.

A text is never overwritten by another one: its name holds a digest of it, so a vector that names it
gets that text or none. Beside the texts of a record stands a list of their names, by which a delete
finds them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

from vectorize_core import jsontext
from vectorize_core.transport.io import Io

T = TypeVar("T")
_TEXT = re.compile(r"vs-[0-9a-f]{32}-([0-9a-f]{32})")
"""The name of a text, with the digest of it."""
_OURS = re.compile(r"vs-[0-9a-f]{32}(-[0-9a-f]{32})?")
Versions = dict[str, float]
"""The names of the texts of a record, each with the time it was last put, in seconds."""


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

    async def get_plain(
        self, io: Io, index: str, ids: Mapping[str, str | None], /
    ) -> dict[str, str]:
        """The texts that other clients keep under the ids of vectors, here with their namespaces.

        One that is kept for another namespace is left out, where that is known.
        """
        return await self.get(io, index, [*ids])

    @abstractmethod
    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts, replacing those that are there.

        When it returns they are kept durably. If it fails, a text may be there only if those
        before it in ``texts`` are.
        """

    async def put_listed(
        self,
        io: Io,
        index: str,
        texts: Mapping[str, str],
        lists: Mapping[str, Mapping[str, float | None]],
        /,
    ) -> None:
        """Change ``lists``, by their names, then write texts.

        What is None is taken out of its list, all else put in; a list that is empty goes.
        Here a list is read and written, so of two processes that do so at once one may undo what
        the other has put in. Override it where the change can be one step.
        """
        there = await self.get(io, index, [*lists])
        changed = {name: changed_list(there.get(name), name, lists[name]) for name in lists}
        await self.put(io, index, {**{n: t for n, t in changed.items() if t is not None}, **texts})
        empty = [name for name, text in changed.items() if text is None]
        if empty:
            await self.delete(io, index, empty)

    @abstractmethod
    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete the texts of these names; unknown names are no error."""

    def close(self) -> None:  # noqa: B027 - most stores hold nothing open
        """Free what is held open; safe to call again."""

    def release(self) -> None:
        """Free what is held open until it is needed again, since others may use this; by default
        `close`."""
        self.close()


def list_name(index: str, vector_id: str) -> str:
    """What the list of the texts of a record is called."""
    return f"vs-{text_digest(f'{index}/{vector_id}')}"


def text_name(index: str, vector_id: str, text: str) -> str:
    """What a text of a record is called."""
    return f"{list_name(index, vector_id)}-{text_digest(text)}"


def renamed(name: str, index: str, vector_id: str) -> str:
    """What the text of that name is called as one of another record, perhaps of another index."""
    return f"{list_name(index, vector_id)}-{digest_in(name)}"


def digest_in(name: str) -> str:
    """The digest of a text that is part of its name."""
    return name.rpartition("-")[2]


def read_versions(written: object, listed_in: str) -> Versions:
    """The texts that the list of that name holds; none if something else is in its place.

    What is no text of the same record is left out: a damaged list must not doom another's texts.
    """
    try:
        listed = jsontext.loads(written)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {}
    if not isinstance(listed, dict):
        return {}
    return {
        name: put
        for name, put in listed.items()
        if type(put) in (int, float) and is_of_record(name, listed_in)
    }


def changed_list(written: object, name: str, change: Mapping[str, float | None]) -> str | None:
    """The list of that name after a change, as a text; None if nothing is left in it."""
    versions = {**read_versions(written, name), **change}
    left = {text: put for text, put in versions.items() if put is not None}
    return jsontext.dumps(left).decode() if left else None


def is_ours(name: str) -> bool:
    """Whether it is the name of a text or a list, whatever has it as its id."""
    return _OURS.fullmatch(name) is not None


def is_of_record(name: str, listed_in: str) -> bool:
    """Whether a text of that name is of the record whose texts are listed there."""
    return name.startswith(f"{listed_in}-")


def is_intact(name: str, text: object) -> bool:
    """Whether a text is the one that its name was made for; so is any under another's name."""
    if not isinstance(text, str):
        return False
    named = _TEXT.fullmatch(name)
    return named is None or named[1] == text_digest(text)


def text_digest(text: str) -> str:
    """A digest of a text, as it stands in names."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
