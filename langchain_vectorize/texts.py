"""Long texts in any LangChain `BaseStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.stores import BaseStore

from vectorize_core.errors import ConfigurationError
from vectorize_core.texts import TextStore
from vectorize_core.transport.io import Io


class BaseStoreTexts(TextStore):
    """Texts in a LangChain store: as bytes, which all persistent ones take, or as strings.

    Several indexes may share a store, and other data may be in it: all keys begin with ``vs-``.
    """

    def __init__(self, store: BaseStore[str, Any], *, as_bytes: bool = True) -> None:
        self._store = store
        self._as_bytes = as_bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._store).__name__})"

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        """The texts of these names."""
        keys = list(names)
        values = await io.either(lambda: self._store.mget(keys), lambda: self._store.amget(keys))
        return {
            key: value.decode() if isinstance(value, bytes) else value
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts."""
        pairs = [(n, text.encode() if self._as_bytes else text) for n, text in texts.items()]
        await io.either(lambda: self._store.mset(pairs), lambda: self._store.amset(pairs))

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete the texts of these names."""
        # Some stores fail where a key is not there.
        there = list(await self.get(io, index, names))
        if there:
            await io.either(lambda: self._store.mdelete(there), lambda: self._store.amdelete(there))


def as_texts(given: TextStore | BaseStore[str, Any] | None) -> TextStore | None:
    """What a store was given as ``texts=``, as a store of texts."""
    if isinstance(given, BaseStore):
        return BaseStoreTexts(given)
    if given is None or isinstance(given, TextStore):
        return given
    raise ConfigurationError(
        f"texts= is a TextStore or a LangChain BaseStore; got {type(given).__name__}"
    )
