"""Long texts kept in any LangChain `BaseStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.stores import BaseStore

from vectorize_core.errors import ConfigurationError
from vectorize_core.kwargs import checks_keywords
from vectorize_core.texts import TextStore
from vectorize_core.transport.io import Io


@checks_keywords()
class BaseStoreTexts(TextStore):
    """Keeps texts in a LangChain store, under keys that begin with ``vs-``.

    Several indexes may share a store, and it may hold other data. Texts are written as bytes,
    which all persistent stores take, or with ``as_bytes=False`` as strings.
    """

    def __init__(self, store: BaseStore[str, Any], *, as_bytes: bool = True) -> None:
        self._store = store
        self._as_bytes = as_bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._store).__name__})"

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        """The texts with these names; missing ones are left out."""
        keys = list(names)
        values = await io.either(lambda: self._store.mget(keys), lambda: self._store.amget(keys))
        return {
            key: value.decode(errors="surrogateescape") if isinstance(value, bytes) else value
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts; existing ones with these names are replaced."""
        pairs = [(n, text.encode() if self._as_bytes else text) for n, text in texts.items()]
        await io.either(lambda: self._store.mset(pairs), lambda: self._store.amset(pairs))

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete the texts with these names; missing ones are no error."""
        # Some stores fail on a missing key.
        found = list(await self.get(io, index, names))
        if found:
            await io.either(lambda: self._store.mdelete(found), lambda: self._store.amdelete(found))


def as_texts(given: TextStore | BaseStore[str, Any] | None) -> TextStore | None:
    """The store of texts that ``texts=`` means."""
    if isinstance(given, BaseStore):
        return BaseStoreTexts(given)
    if given is None or isinstance(given, TextStore):
        return given
    raise ConfigurationError(
        f"texts= is a TextStore or a LangChain BaseStore; got {type(given).__name__}"
    )
