"""Why a search has found less than it was asked for, in words."""

from __future__ import annotations

from typing import Final

import numpy as np

from vectorize_core.filters.ast import And, Expression
from vectorize_core.filters.describe import describe
from vectorize_core.filters.parse import parse
from vectorize_core.page.account import Account
from vectorize_core.page.answers import plain
from vectorize_core.reads import coverage, search
from vectorize_core.reads.selection import Selection, SelectOptions
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import get_details

_MOST_PARTS: Final = 8
"""Conditions of a filter that are tried alone."""


async def of(
    account: Account,
    store: RecordStore,
    chosen: Selection | None,
    options: SelectOptions,
    *,
    nothing: bool,
) -> list[str]:
    """What may explain it; where requests are free, and there is ``nothing``, by trying."""
    if chosen is None:
        return ["the conditions of the filter contradict each other: nothing can match it"]
    partial = await coverage.seen(account.io, store.state, chosen.plan)
    found = [
        f"a filter on {name!r} may leave out matches: {reason}" for name, reason in partial.items()
    ]
    if nothing and account.is_free and options.get("unindexed") != "scan":
        found += await _tried(account, store, options)
    return [plain(hint) for hint in found]


async def _tried(account: Account, store: RecordStore, options: SelectOptions) -> list[str]:
    """Which conditions match nothing even alone."""
    namespace, given = options.get("namespace"), options.get("filter")
    if not await _matches_any(account, store, None, namespace):
        return [
            "the index has no vector that reads see yet"
            if namespace is None
            else f"no vector is in the namespace {namespace!r}"
        ]
    whole = parse(given) if given is not None else None
    if not isinstance(whole, And) or len(whole.parts) > _MOST_PARTS:
        return []
    empty = [
        part for part in whole.parts if not await _matches_any(account, store, part, namespace)
    ]
    if not empty:
        return ["each condition alone matches something, but nothing matches all of them"]
    return [f"nothing matches {describe(part)}, even alone" for part in empty]


async def _matches_any(
    account: Account, store: RecordStore, part: Expression | None, namespace: str | None
) -> bool:
    options = SelectOptions(filter=part, namespace=namespace)
    chosen = await store.select(account.io, options, claim=None)
    if chosen is None:
        return False
    dimensions = (await get_details(account.io, store.state)).config.dimensions
    anywhere = np.eye(1, dimensions, dtype=np.float32)[0]
    return bool(await search.search(account.io, store.state, anywhere, 1, chosen))
