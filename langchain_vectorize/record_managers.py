"""A store compared with the record manager of LangChain's indexing API, and repaired."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final, Unpack

from langchain_core.documents import Document
from langchain_core.indexing import RecordManager

from langchain_vectorize.documents import to_document
from langchain_vectorize.options import CompareOptions, KeyEncoder
from vectorize_core.api.validation import flag, one_of
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.deleting import delete_stored
from vectorize_core.records.reading import iter_found, iter_named
from vectorize_core.records.store import RecordStore
from vectorize_core.texts.store import parts
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing

_AT_ONCE: Final = 500
"""Keys that are deleted together: SQLite may take no more than 999."""
_NAMESPACE: Final = uuid.UUID(int=1984)
"""LangChain's, of keys by SHA-1."""


def _sha1(data: bytes) -> str:
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return str(uuid.uuid5(_NAMESPACE, digest))


_DIGESTS: Final[dict[str, Callable[[bytes], str]]] = {
    "sha1": _sha1,
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "sha512": lambda data: hashlib.sha512(data).hexdigest(),
    "blake2b": lambda data: hashlib.blake2b(data).hexdigest(),
}
"""How ``index()`` makes keys, by the name of the key encoder."""
_FORMS: Final = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), ("sha1",)),
    (re.compile(r"[0-9a-f]{64}"), ("sha256",)),
    (re.compile(r"[0-9a-f]{128}"), ("sha512", "blake2b")),
)


async def compare(
    io: Io,
    records: RecordStore,
    record_manager: RecordManager,
    *,
    key_encoder: KeyEncoder | None = None,
    check_contents: bool = True,
    repair: bool = False,
    **options: Unpack[CompareOptions],
) -> Comparison:
    """How a store differs from a record manager; see `VectorizeVectorStore.compare`."""
    flag("repair", repair)
    flag("check_contents", check_contents)
    if key_encoder is not None and not callable(key_encoder):
        one_of("key_encoder", key_encoder, [*_DIGESTS])
    if not isinstance(record_manager, RecordManager):
        raise InvalidInputError(f"record_manager is a RecordManager; got {shown(record_manager)}")
    keys = {*await io.either(record_manager.list_keys, record_manager.alist_keys)}
    if repair and not keys:
        raise InvalidInputError(
            "record_manager lists no key, so a repair would delete every document; "
            "delete(delete_all=True) does that"
        )
    there, changed, doomed = set[str](), set[str](), list[str]()
    if check_contents:
        # A text that is gone is a change, and no reason to end.
        lenient = dataclasses.replace(records, on_missing_text="empty")
        async with aclosing(iter_found(io, lenient, **options)) as every:
            async for record, _, stored_id in every:
                there.add(record.id)
                if record.id not in keys:
                    doomed.append(stored_id)
                elif not _is_same(to_document(record), key_encoder):
                    changed.add(record.id)
                    doomed.append(stored_id)
    else:
        async with aclosing(iter_named(io, records, **options)) as listed:
            async for name, stored_id in listed:
                there.add(name)
                if name not in keys:
                    doomed.append(stored_id)
    found = Comparison(
        missing=tuple(sorted(keys - there)),
        extra=tuple(sorted(there - keys)),
        changed=tuple(sorted(changed)),
        repaired=repair,
    )
    if repair:
        if key_encoder is None and changed and len(changed) == len(there & keys):
            raise InvalidInputError(
                "no document has the id that index() makes of its contents, so a repair would "
                "delete all of them: pass the key_encoder= that index() was given"
            )
        await _forget(io, record_manager, [*found.missing, *found.changed])
        # What no view wrote into a tenant's namespace is not stored under the id of a view's.
        await delete_stored(io, records, doomed, records.waits())
    return found


async def _forget(io: Io, record_manager: RecordManager, keys: Sequence[str]) -> None:
    """Delete keys, so that their documents are taken for new ones."""
    for some in parts(keys, _AT_ONCE):
        await io.either(
            partial(record_manager.delete_keys, some), partial(record_manager.adelete_keys, some)
        )


def _is_same(document: Document, encoder: KeyEncoder | None) -> bool:
    """Whether the id of a document is what ``index()`` makes of its contents."""
    if callable(encoder):
        return encoder(document) == document.id
    return document.id in _keys(document, (encoder,) if encoder else _encoders(document.id or ""))


def _encoders(key: str) -> Collection[str]:
    """Those that make such keys."""
    for form, encoders in _FORMS:
        if form.fullmatch(key):
            return encoders
    raise InvalidInputError(
        f"the id {key!r} is no digest that index() makes by itself: pass the function that it was "
        "given as key_encoder=, or check_contents=False"
    )


def _keys(document: Document, encoders: Collection[str]) -> list[str]:
    """What ``index()`` calls a document."""
    try:
        text = document.page_content.encode()
        metadata = json.dumps(document.metadata, sort_keys=True).encode()
    except (TypeError, ValueError):
        # It cannot have been written by it.
        return []
    digests = (_DIGESTS[encoder] for encoder in encoders)
    return [digest(f"{digest(text)}{digest(metadata)}".encode()) for digest in digests]
