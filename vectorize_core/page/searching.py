"""Searches on the page, by text, id or vector; and what a filter would cost."""

from __future__ import annotations

from typing import Any, Final

from vectorize_core.api import validation
from vectorize_core.costs import QUERIED_DIMENSIONS
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.explain import Explanation
from vectorize_core.models import Values
from vectorize_core.page import hints, records
from vectorize_core.page.account import REQUESTS, Account, Requests
from vectorize_core.page.answers import PageError, plain
from vectorize_core.page.asked import Asked
from vectorize_core.page.embedders import Embedder
from vectorize_core.reads import raw, search
from vectorize_core.reads.by_id import get_many
from vectorize_core.reads.selection import MAX_SEARCH_REQUESTS, Selection, SelectOptions
from vectorize_core.records.reading import explain_filter
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import IndexState, get_details

MOST: Final = 1_000
"""Matches of one search."""


async def find(account: Account, asked: Asked, embedder: Embedder | None) -> Any:
    """The nearest records, with what it took to find them, and what may be missing."""
    io, counted = account.io, Requests()
    REQUESTS.set(counted)
    store, k = await account.store(asked.index), asked.whole("k", 10, 1, MOST)
    options = _options(account, asked)
    chosen = await store.select(io, options, claim=None, max_requests=MAX_SEARCH_REQUESTS)
    begun = io.now()
    query, itself = await _query(account, store, asked, embedder)
    embedded, matches = io.now() - begun, []
    if chosen is not None:
        more = k if itself is None else k + 1
        found = await search.search(io, store.state, query, more, chosen, return_metadata="all")
        matches = [match for match in found if match.id != itself][:k]
    seconds, made = io.now() - begun - embedded, counted.made
    shown = await records.read(io, store, matches)
    explanation = await _explanation(account, store, chosen, options, k)
    nothing, less = not matches, len(matches) < k
    why = await hints.of(account, store, chosen, options, nothing=nothing) if less else []
    return {
        "matches": [
            {**records.row(match, record), "score": match.score}
            for match, record in zip(matches, shown, strict=True)
            if record is not None
        ],
        "requests": made,
        "seconds": seconds,
        "embedding_seconds": embedded if asked.body.get("by") == "text" else None,
        "explanation": explanation,
        "hints": why,
    }


async def explain(account: Account, asked: Asked) -> Any:
    """How a filter would be answered, and for how many requests; it is not."""
    store, k = await account.store(asked.index), asked.whole("k", 10, 1, MOST)
    options = _options(account, asked)
    chosen = await store.select(account.io, options, claim=None)
    return await _explanation(account, store, chosen, options, k)


def _options(account: Account, asked: Asked) -> SelectOptions:
    options = SelectOptions(
        filter=asked.given("filter", dict) or None,
        namespace=asked.given("namespace", str) or None,
        unindexed="scan" if asked.given("scan", bool) else "error",
    )
    # Where they are free, a search may take any number; the browser that leaves ends it.
    options["max_requests"] = None if account.is_free else MAX_SEARCH_REQUESTS
    return options


async def _query(
    account: Account, store: RecordStore, asked: Asked, embedder: Embedder | None
) -> tuple[Values, str | None]:
    """The vector to search with; and the id of the record that is not to be found, if it is one."""
    by = asked.needed("by", str)
    if by == "vector":
        return validation.query_vector(asked.needed("vector", list), "the vector"), None
    if by == "id":
        record_id = asked.needed("id", str)
        found = (await get_many(account.io, store.state, [record_id])).get(record_id)
        if found is None:
            said = f"no record of {asked.index!r} has the id {record_id!r}"
            raise PageError(404, "NotFound", said)
        return found.values, record_id
    if by != "text":
        raise InvalidInputError(f"by is 'text', 'id' or 'vector'; got {by[:40]!r}")
    if embedder is None:
        raise PageError(
            409,
            "NoEmbedder",
            "a search by text takes the embedding model that the records were written with",
            "start the command with --embedder module:attribute",
        )
    values = await embedder.embed(account.io, asked.needed("text", str))
    return validation.query_vector(values, "the embedding of the text"), None


async def _explanation(
    account: Account,
    store: RecordStore,
    chosen: Selection | None,
    options: SelectOptions,
    k: int,
) -> dict[str, Any]:
    io, state = account.io, store.state
    if chosen is None:
        found = await explain_filter(
            io, store, options.get("filter"), k, unindexed=options.get("unindexed")
        )
    else:
        found = await raw.explain_plan(io, state, chosen.plan, k)
    dimensions = (await get_details(io, state)).config.dimensions
    return {
        "branches": plain(found.branches),
        "residual": plain(found.residual),
        "requests": found.estimated_requests,
        "most_requests": found.most_requests,
        "price": None if account.is_free else _price(found, dimensions),
        "text": plain(found.text),
        "warnings": [] if chosen is None else _warnings(state, chosen, found),
    }


def _warnings(state: IndexState, chosen: Selection, found: Explanation) -> list[str]:
    """What is known without a request of what the filter may leave out, or take."""
    partial, plan = state.coverage.partial, chosen.plan
    known = [partial[name] for name in sorted(plan.looked_up & partial.keys())]
    if plan.unpushed and found.most_requests > MAX_SEARCH_REQUESTS:
        known.append(
            f"what no metadata index answers may take {found.most_requests} requests; on "
            f"Cloudflare a search gives up at {MAX_SEARCH_REQUESTS}, unless it is told otherwise"
        )
    return [plain(one) for one in known]


def _price(found: Explanation, dimensions: int) -> dict[str, float]:
    """US dollars of the queries, beyond what an account has free; reading by id costs nothing."""
    each = dimensions * QUERIED_DIMENSIONS.dollars / QUERIED_DIMENSIONS.per
    return {"expected": found.estimated_queries * each, "most": found.most_queries * each}
