"""Which records a read or a delete is about, and how many requests it may take to find them."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypedDict

from vectorize_core import jsontext, limits
from vectorize_core.api import validation
from vectorize_core.errors import (
    IndexNotFoundError,
    InvalidFilterError,
    InvalidInputError,
    RequestLimitWarning,
    TooManyRequestsNeededError,
    UnindexedPropertyError,
    shown,
)
from vectorize_core.filters import plan as plans
from vectorize_core.filters import push
from vectorize_core.filters.ast import EVERYTHING, Expression
from vectorize_core.filters.parse import parse
from vectorize_core.filters.plan import ALL, Hidden, Plan, Unindexed
from vectorize_core.models import Filter, Id, IndexType
from vectorize_core.reads import coverage
from vectorize_core.reads.post_filter import ReadRecords, raw_records
from vectorize_core.stacklevel import outside
from vectorize_core.state.index_state import (
    IndexState,
    find_details,
    get_metadata_indexes,
    look_again,
)
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT
from vectorize_core.transport.io import Io
from vectorize_core.wording import DEFAULT, Wording

MAX_SEARCH_REQUESTS: Final = 100
MAX_ENUMERATION_REQUESTS: Final = 1_000
_warned: Final = threading.Event()
"""Whether this process was told what it does that Cloudflare would not."""


class Allowance(NamedTuple):
    """At most ``most`` requests, any number if None. If it only ``warns``, more are sent too."""

    most: int | None
    warns: bool = False

    def allows(self, requests: int) -> bool:
        """Whether it takes no more than that."""
        return self.most is None or requests <= self.most


ANY_NUMBER: Final = Allowance(None)


def allowance(options: Mapping[str, Any], default: int, state: IndexState) -> Allowance:
    """What the ``max_requests`` of a call's options allows; where it has none, ``default``.

    Where requests are free, the default is what Cloudflare would allow, and only warns.
    """
    if "max_requests" not in options:
        return Allowance(default, warns=state.capabilities.free_requests)
    given = options["max_requests"]
    if given is None:
        return ANY_NUMBER
    return Allowance(validation.whole_number("max_requests", given, least=1))


@dataclass(slots=True)
class RequestLimit:
    """The requests of one read: ``allowed``, and ``spent`` so far. ``purpose`` is what for.

    ``instead`` is what to do where they are too few. For a tenant (``confined``) it counts nothing
    in words: how many are needed may depend on how many records others have.
    """

    allowed: Allowance
    purpose: str
    spent: int = 0
    instead: str = ""
    confined: bool = False

    def charge(self, requests: int = 1) -> None:
        """Before ``requests`` are sent; `TooManyRequestsNeededError` if that is too many."""
        self.expect(requests)
        self.spent += requests

    def expect(self, requests: int) -> None:
        """Give up now if ``requests`` more will be needed and that is too many."""
        most, needed = self.allowed.most, self.spent + requests
        if most is None or self.allowed.allows(needed):
            return
        if self.allowed.warns:
            self._warn(most, needed)
            return
        takes = (
            f"takes more requests than max_requests={most} allows"
            if self.confined
            else f"takes about {needed} requests or more; max_requests={most} allows fewer"
        )
        instead = self.instead or (
            "narrow what is read: by a filter on a property with a metadata index, "
            f"{'' if self.confined else 'by namespace=, '}or by fewer matches"
        )
        raise TooManyRequestsNeededError(
            f"{self.purpose} {takes}. Raise max_requests= (None: any number), or {instead}",
            needed=most + 1 if self.confined else needed,
            allowed=most,
        )

    def _warn(self, most: int, needed: int) -> None:
        if _warned.is_set():
            return
        _warned.set()
        takes = "more requests" if self.confined else f"about {needed} requests or more"
        warnings.warn(
            f"{self.purpose} takes {takes}. On Cloudflare it would be refused: max_requests= is "
            f"{most} there unless a call gives another, or None for any number. In the embedded "
            "Vectorize requests cost nothing, so there is no limit but the one that a call gives; "
            "limits='cloudflare' sets Cloudflare's. This is said once in a process",
            RequestLimitWarning,
            stacklevel=outside(),
        )


def check_ids(ids: Sequence[Id], allowed: Allowance) -> None:
    """So many ids may be read."""
    validation.check_id_list(ids)
    count = len(dict.fromkeys(ids))
    limit = RequestLimit(allowed, f"reading by {count} ids", instead="give fewer ids")
    limit.expect(math.ceil(count / limits.MAX_IDS_PER_GET))


AnyFilter: TypeAlias = Mapping[str, Any] | Expression
"""The dict form of a filter, or an expression (docs/filters.md)."""
Precision: TypeAlias = Literal["normal", "high"]
"""Of an enumeration: "high" asks for exact answers from the start, twice as many."""
Properties: TypeAlias = Callable[..., Awaitable[Mapping[str, IndexType]]]
"""Awaited, perhaps with ``refresh=True``, the filterable properties of an index."""
Claim: TypeAlias = Literal["best", "all"] | None
"""What an answer is said to be: the best matches, all of them, or (None) nothing of the sort."""


class FindOptions(TypedDict, total=False):
    """Where records are looked for, and how much may be read to find them.

    ``namespace=None`` (the default) means all namespaces. ``vectorize_filter`` is a filter in the
    service's own language, passed on as it is. ``unindexed="scan"`` allows reading records to
    evaluate what no metadata index can look up; otherwise that is an `UnindexedPropertyError`.
    ``max_requests`` is how many requests the call may take, None for any number: by default 100
    for a search, 1,000 for all that matches, and embedded, where they cost nothing, any number.
    """

    namespace: str | None
    vectorize_filter: Filter | None
    unindexed: Unindexed
    max_requests: int | None


class SelectOptions(FindOptions, total=False):
    """Which records are meant: ``filter`` is the dict form or an expression (docs/filters.md)."""

    filter: AnyFilter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The records that ``plan`` matches, in ``namespace`` unless None, made by ``read``.

    They are ``confined`` if they are a tenant's, who is to learn nothing of others' records.
    ``allowed`` is how many requests may be sent to find them. ``wait_timeout`` is for how many
    seconds to wait first until this client's own writes are visible.
    """

    plan: Plan = ALL
    read: ReadRecords = raw_records
    namespace: str | None = None
    confined: bool = False
    precision: Precision = "normal"
    allowed: Allowance = ANY_NUMBER
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT

    @property
    def is_everything(self) -> bool:
        """Whether all records of the index are meant."""
        return self.plan.everything and self.namespace is None

    def request_limit(self, purpose: str) -> RequestLimit:
        """The limit of one read of them."""
        return RequestLimit(self.allowed, purpose, confined=self.confined)


async def make_plan(
    filter: AnyFilter | None,
    vectorize_filter: Filter | None,
    properties: Properties,
    *,
    index_name: str,
    hidden: Hidden = plans.in_vectors,
    within: Mapping[str, Collection[str]] | None = None,
    unindexed: Unindexed = "error",
    wording: Wording = DEFAULT,
) -> Plan:
    """The plan of a filter; a contradiction or no filter at all needs no request."""
    plans.check_unindexed(unindexed)
    if filter is not None and vectorize_filter is not None:
        raise InvalidInputError(f"give {wording.filter} or vectorize_filter=, not both")
    if vectorize_filter is not None:
        if not isinstance(vectorize_filter, Mapping):
            raise InvalidFilterError(
                "vectorize_filter is a dict in the service's own language, such as "
                f"{{'year': {{'$gte': 1960}}}}; got {shown(vectorize_filter)}"
            )
        problem = jsontext.problem(vectorize_filter)
        if problem:
            raise InvalidFilterError(f"the filter has {problem}")
        return plans.native(vectorize_filter)
    if filter is None and not within:
        return plans.ALL
    expression = parse(filter) if filter is not None else EVERYTHING
    make = partial(
        plans.plan,
        expression,
        hidden=hidden,
        within=within,
        unindexed=unindexed,
        index_name=index_name,
        wording=wording,
    )
    if push.is_impossible(expression) or not (within or push.leaves(expression)):
        return make({})
    with suppress(UnindexedPropertyError):
        return make(await properties())
    return make(await properties(refresh=True))


def check_is_filter(filter: AnyFilter | None, vectorize_filter: Filter | None = None) -> None:
    """A delete by filter has to have one, and one that does not match everything."""
    given = filter if filter is not None else vectorize_filter
    if (
        given is None
        or (filter is None and not given)
        or (filter is not None and parse(filter) == EVERYTHING)
    ):
        raise InvalidInputError(
            "a delete takes ids, or a filter; an empty filter would delete everything"
        )


def check_precision(precision: Precision) -> None:
    """One of the two; `InvalidInputError` otherwise."""
    validation.one_of("precision", precision, ("normal", "high"))


async def honest_plan(
    io: Io,
    state: IndexState,
    make: Callable[[Properties], Awaitable[Plan]],
    properties: Properties,
    *,
    claim: Claim,
    unindexed: Unindexed,
    narrowed: bool,
    tenant: str | None = None,
) -> Plan:
    """The plan that ``make`` makes of the filterable properties, fit for what an answer claims.

    Some metadata indexes leave out vectors. If the answer is to be "all" that matches, these are
    not looked up: records are read instead if ``unindexed`` allows that, else it is a
    `PartialIndexError`. The configuration of the index is read again first. If the answer is to be
    the "best", there is a warning in place of the error.

    ``narrowed``: a namespace restricts the answer, even without a filter. For a ``tenant``, only
    its own vectors count.
    """
    known = claim != "all"

    async def look() -> None:
        nonlocal known
        if not known and state.details is not None:
            # One that is gone is noticed by those who ask for it next.
            with suppress(IndexNotFoundError):
                await look_again(io, state)
        known = True

    async def current(*, refresh: bool = False) -> Mapping[str, IndexType]:
        await look()
        return await properties(refresh=refresh)

    plan = await make(current)
    if plan.impossible or (plan.everything and not narrowed):
        return plan
    await look()
    names = plan.looked_up
    if claim is None or not names or await find_details(io, state) is None:
        return plan
    if not state.uncertain(names, tenant):
        return plan
    look_up = coverage.seen if claim == "best" else coverage.uncovered
    partial_ones = await look_up(io, state, plan, tenant=tenant)
    scannable = plan.complete and partial_ones.keys().isdisjoint(plan.within)
    if unindexed == "error" or not scannable:
        if claim == "best":
            coverage.warn(state, partial_ones, tenant=tenant, scannable=scannable)
            return plan
        coverage.refuse(state, partial_ones, scannable=scannable)

    async def others(*, refresh: bool = False) -> Mapping[str, IndexType]:
        found = await properties(refresh=refresh)
        return {name: found[name] for name in found.keys() - partial_ones.keys()}

    return await make(others) if partial_ones else plan


async def select(
    io: Io,
    state: IndexState,
    options: SelectOptions,
    *,
    claim: Claim = "all",
    precision: Precision = "normal",
    max_requests: int = MAX_ENUMERATION_REQUESTS,
) -> Selection:
    """The vectors, as they are, that a caller's options select."""
    check_precision(precision)
    allowed = allowance(options, max_requests, state)
    namespace = validation.as_namespace(options.get("namespace"))
    unindexed = options.get("unindexed", "error")

    async def make(properties: Properties) -> Plan:
        return await make_plan(
            options.get("filter"),
            options.get("vectorize_filter"),
            properties,
            index_name=state.name,
            unindexed=unindexed,
            wording=state.adapt(DEFAULT),
        )

    plan = await honest_plan(
        io,
        state,
        make,
        partial(get_metadata_indexes, io, state),
        claim=claim,
        unindexed=unindexed,
        narrowed=namespace is not None,
    )
    return Selection(
        plan=plan,
        namespace=namespace,
        precision=precision,
        allowed=allowed,
    )
