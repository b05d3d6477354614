"""Long texts in any LlamaIndex `BaseKVStore`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from llama_index.core.storage.kvstore.types import BaseKVStore

from vectorize_core.errors import ConfigurationError
from vectorize_core.kwargs import checks_keywords
from vectorize_core.texts import TextStore
from vectorize_core.transport.io import Io, each
from vectorize_core.transport.workers import aclosing

T = TypeVar("T")
DEFAULT_COLLECTION: Final = "vectorize_texts"
_TEXT: Final = "text"
_CONCURRENCY: Final = 4


@checks_keywords()
class KVStoreTexts(TextStore):
    """Texts in a collection of a LlamaIndex key-value store; several indexes may share it."""

    def __init__(self, store: BaseKVStore, *, collection: str = DEFAULT_COLLECTION) -> None:
        self._store = store
        self._collection = collection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._store).__name__})"

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        """The texts of these names, by several requests at once: each returns one text."""
        store, within = self._store, self._collection

        async def get(name: str) -> dict[str, Any] | None:
            return await io.either(
                lambda: store.get(name, within), lambda: store.aget(name, within)
            )

        values = await _each(io, get, names)
        # What is no text, or is not where one stands, is damaged: its reader says whose it is.
        return {
            name: value.get(_TEXT) if isinstance(value, Mapping) else value  # type: ignore[misc]
            for name, value in values.items()
            if value is not None
        }

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts."""
        store, within = self._store, self._collection
        pairs = [(name, {_TEXT: text}) for name, text in texts.items()]
        await io.either(lambda: store.put_all(pairs, within), lambda: store.aput_all(pairs, within))

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete the texts of these names."""
        store, within = self._store, self._collection

        async def delete(name: str) -> bool:
            return await io.either(
                lambda: store.delete(name, within), lambda: store.adelete(name, within)
            )

        await _each(io, delete, names)


async def _each(
    io: Io, work: Callable[[str], Coroutine[Any, Any, T]], names: Sequence[str]
) -> dict[str, T]:
    limit = max(min(_CONCURRENCY, len(names)), 1)
    async with aclosing(io.map(work, each(names), limit=limit)) as outcomes:
        return {done.item: done.result() async for done in outcomes}


def as_texts(given: TextStore | BaseKVStore | None) -> TextStore | None:
    """The argument ``texts=`` of a store as a `TextStore`."""
    if isinstance(given, BaseKVStore):
        return KVStoreTexts(given)
    if given is None or isinstance(given, TextStore):
        return given
    raise ConfigurationError(
        f"texts= is a TextStore or a LlamaIndex BaseKVStore; got {type(given).__name__}"
    )
