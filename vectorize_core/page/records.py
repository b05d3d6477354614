"""Records on the page: pages of them, one whole, its deletion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from vectorize_core import layout
from vectorize_core.api.operations import ListVectors
from vectorize_core.api.scan import ScanVectors
from vectorize_core.errors import InvalidInputError, WaitTimeoutError
from vectorize_core.layout import Record, RecordReader, decode
from vectorize_core.models import Match, Vector
from vectorize_core.page.account import Account
from vectorize_core.page.answers import PageError, cut, kind_of, plain
from vectorize_core.page.asked import Asked
from vectorize_core.reads.by_id import get_many
from vectorize_core.records import deleting
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import get_details
from vectorize_core.texts.reading import TextReading
from vectorize_core.transport.io import Io

SHORT: Final = 400
"""Characters of a text, or of a value of metadata, in a table."""
MOST: Final = 200
_AT_ONCE: Final = 1_000
"""Vectors that a scan for a namespace reads in one go."""
_PATIENCE: Final = 0.15
"""Seconds after which a page that is not full yet is shown nevertheless."""
_ROUNDS: Final = 5
"""Requests for ids that a page of a namespace may take."""
_SEEN_IN: Final = 0.5
"""Seconds in which a deletion that nothing delays is seen."""


class _Lenient(RecordReader):
    """Reads what a newer version has written as far as it is understood."""

    def read(self, vector: Match | Vector) -> Record:
        """The record that a vector's metadata holds."""
        return decode(vector.id, vector.metadata, text_key=self.text_key, any_version=True)


async def page(account: Account, asked: Asked) -> Any:
    """A page of records, and the cursor of the next one, if there is one.

    In the order of writing where vectors can be read in it, else in that of the service's list of
    ids. In one namespace it may be short or empty, with more to follow.
    """
    store = await account.store(asked.index)
    count = asked.number("limit", 50, 1, MOST)
    cursor, namespace = asked.text("cursor"), asked.text("namespace")
    follow = _scanned if account.scans else _listed
    found, cursor = await follow(account, store, count, cursor, namespace)
    return {"records": await rows(account.io, store, found), "next": cursor}


async def _scanned(
    account: Account, store: RecordStore, count: int, cursor: str | None, namespace: str | None
) -> tuple[list[Vector], str | None]:
    io, found = account.io, list[Vector]()
    passed, start = _place(cursor)
    until = io.now() + _PATIENCE
    # Of vectors in other namespaces only the rows are read.
    some = count if namespace is None and not passed else _AT_ONCE
    while True:
        read = await io.call(ScanVectors(store.state.name, some, start, namespace))
        fresh, room = read.vectors[passed:], count - len(found)
        found += fresh[:room]
        if len(fresh) > room:
            return found, f"{passed + room}.{start or ''}"
        start, passed = read.next_cursor, 0
        if start is None or len(found) >= count or io.now() > until:
            return found, None if start is None else f"0.{start}"


def _place(cursor: str | None) -> tuple[int, str | None]:
    """How many vectors of a scan were shown, and where that begins."""
    passed, dot, start = (cursor or "0.").partition(".")
    is_number = passed.isascii() and passed.isdigit() and len(passed) < 10
    # A scan reads no more at once, so no more of one was shown.
    if not (dot and is_number and int(passed) <= _AT_ONCE):
        raise InvalidInputError(f"{cursor!r} is no cursor of a page of records")
    return int(passed), start or None


async def _listed(
    account: Account, store: RecordStore, count: int, cursor: str | None, namespace: str | None
) -> tuple[list[Vector], str | None]:
    io, found = account.io, list[Vector]()
    for _ in range(_ROUNDS):
        listed = await io.call(ListVectors(store.state.name, count - len(found), cursor))
        vectors = (await get_many(io, store.state, listed.ids)).values()
        found += [v for v in vectors if namespace in (None, v.namespace)]
        cursor = listed.next_cursor
        if cursor is None or len(found) >= count or namespace is None:
            break
    return found, cursor


async def one(account: Account, asked: Asked) -> Any:
    """A record whole: all of its text and metadata, its values, and what its vector holds."""
    store = await account.store(asked.index)
    record_id = asked.query.get("id", "")
    found = await get_many(account.io, store.state, [record_id])
    if record_id not in found:
        raise _not_there(asked.index, record_id)
    vector = found[record_id]
    (record,) = await read(account.io, store, [vector])
    if record is None:
        raise _not_there(asked.index, record_id)
    details = await get_details(account.io, store.state)
    has_words = layout.read_note(details.description).text_index
    return {
        **row(vector, record, whole=True),
        "raw_metadata": plain(vector.metadata or {}),
        "values": vector.values,
        "node": plain(record.node),
        "text_name": record.text_name,
        # A text index that the page is not given has the text as well, and keeps it.
        "row_elsewhere": has_words and store.text_index is None,
    }


def _not_there(index: str, record_id: str) -> PageError:
    return PageError(404, "NotFound", f"no record of {index!r} has the id {record_id!r}")


async def delete(account: Account, asked: Asked) -> Any:
    """Delete a record, whose id is typed once more; and its long text, if it is found."""
    record_id = asked.needed("id", str)
    asked.confirm(record_id)
    store = await account.store(asked.index)
    await deleting.delete(account.io, store, [record_id])
    visible = False
    if account.is_free:
        with suppress(WaitTimeoutError):
            await store.await_writes(account.io, _SEEN_IN)
            visible = True
    return {"visible": visible}


async def rows(io: Io, store: RecordStore, vectors: Sequence[Match | Vector]) -> list[Any]:
    """The rows of a table, in their order; without what was deleted meanwhile."""
    records = await read(io, store, vectors)
    return [
        row(vector, record)
        for vector, record in zip(vectors, records, strict=True)
        if record is not None
    ]


async def read(
    io: Io, store: RecordStore, vectors: Sequence[Match | Vector]
) -> list[Record | None]:
    """The records of vectors, whatever these hold, with texts that stand elsewhere."""
    reading = TextReading(store.state, _Lenient(), store.long_texts, on_missing_text="empty")
    return await reading.current(io, vectors)


def row(vector: Match | Vector, record: Record | None, *, whole: bool = False) -> dict[str, Any]:
    """A record as JSON; texts are cut unless it is to be ``whole``."""
    text = record.text if record is not None else None
    metadata = record.metadata if record is not None else {}
    types = {plain(str(key)): kind_of(value) for key, value in metadata.items()}
    return {
        "id": plain(vector.id),
        "namespace": plain(vector.namespace),
        "text": plain(text if whole or text is None else text[:SHORT]),
        "text_cut": not whole and text is not None and len(text) > SHORT,
        "metadata": plain(metadata if whole else {k: _cut(v) for k, v in metadata.items()}),
        "types": {key: kind for key, kind in types.items() if kind is not None},
        # It stands where this page does not look, and where a deletion leaves it.
        "text_elsewhere": text is None and record is not None and record.text_name is not None,
        "source": plain(record.ref or record.read_ref) if record is not None else None,
    }


def _cut(value: Any) -> Any:
    """A value of metadata, of which a table shows a long text in part."""
    return cut(value, SHORT) if isinstance(value, str) else value
