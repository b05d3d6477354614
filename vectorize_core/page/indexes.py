"""Indexes on the page: all of them, one as it is now, making and deleting one."""

from __future__ import annotations

import asyncio
from typing import Any

from vectorize_core import layout
from vectorize_core.api.operations import GetInfo, ListIndexes, ListMetadataIndexes
from vectorize_core.api.pending import CountPending
from vectorize_core.models import IndexDetails, MetadataIndex
from vectorize_core.page.account import Account
from vectorize_core.page.answers import plain
from vectorize_core.page.asked import Asked
from vectorize_core.state import lifecycle
from vectorize_core.state.index_state import get_details


async def listed(account: Account, _: Asked) -> Any:
    """All indexes."""
    return [_brief(details) for details in await account.io.call(ListIndexes())]


async def described(account: Account, asked: Asked) -> Any:
    """One index as the service describes it now, in three requests."""
    return await _described(account, asked.index)


async def create(account: Account, asked: Asked) -> Any:
    """Make an index, with the metadata indexes of the record layout and those it is given."""
    name = asked.needed("name", str)
    await lifecycle.create_index(
        account.io,
        account.state(name),
        dimensions=asked.whole("dimensions", 0),
        metric=asked.body.get("metric", "cosine"),
        metadata_indexes=asked.given("metadata_indexes", dict) or {},
    )
    return await _described(account, name)


async def delete(account: Account, asked: Asked) -> Any:
    """Delete an index, whose name is typed once more."""
    asked.confirm(asked.index)
    await lifecycle.delete_index(account.io, account.state(asked.index))


async def _described(account: Account, name: str) -> Any:
    io, state = account.io, account.state(name)
    details = await get_details(io, state, refresh=True)
    info, filterable = await asyncio.gather(
        io.call(GetInfo(state.name)), io.call(ListMetadataIndexes(state.name))
    )
    # Elsewhere nobody tells.
    pending: int | None = None
    if account.tells_pending:
        pending = await io.call(CountPending(state.name))
    return {
        **_brief(details),
        "vectors": info.vector_count,
        "processed_up_to": info.processed_up_to_datetime,
        "last_mutation": info.processed_up_to_mutation,
        "pending": pending,
        "metadata_indexes": [
            {
                "property": plain(one.property_name),
                "type": one.index_type,
                "ours": one.property_name in layout.METADATA_INDEXES,
            }
            for one in filterable
        ],
        "layout": _layout(details, filterable),
    }


def _brief(details: IndexDetails) -> dict[str, Any]:
    return {
        "name": details.name,
        "dimensions": details.config.dimensions,
        "metric": details.config.metric,
        "description": plain(layout.unnoted(details.description)),
        "created": details.created_on,
    }


def _layout(details: IndexDetails, filterable: tuple[MetadataIndex, ...]) -> dict[str, Any]:
    """Whether the stores of this library have made an index, and what that promises."""
    noted, has_words = layout.read_note(details.description)
    present = {one.property_name for one in filterable}
    if not (noted or layout.OWN in present):
        return {
            "ours": False,
            "note": "not made for records: they are shown as their vectors hold them, and what "
            "takes more than one answer of the service is read by id",
        }
    lost = sorted(noted - present)
    if lost:
        note = f"its description says that {', '.join(lost)} can be filtered by; it cannot"
    else:
        own = sorted(noted - layout.METADATA_INDEXES.keys())
        named = f" on {', '.join(own)}" if own else ""
        note = f"made for records; its metadata indexes{named} cover every vector"
    if has_words:
        note += "; texts are in a text index as well"
    return {"ours": True, "note": plain(note)}
