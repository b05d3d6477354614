"""What a filter will cost, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from vectorize_core import limits
from vectorize_core.filters.ast import Expression
from vectorize_core.filters.describe import describe, unparse
from vectorize_core.filters.plan import Plan
from vectorize_core.models import Filter

_USUALLY = 0.8
"""How full an answer is expected to be; partitions are sized for it."""
_AT_LEAST = 0.6
"""How full answers are on average in a search that has bad luck with its partitions."""
_BESIDE: Final = 6
"""Requests that tell what an index is, before it is searched."""
_PER_GET: Final = limits.MAX_IDS_PER_GET
_SHOWN: Final = 4
"""The text shows the first of more values or branches than this."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a filter is answered; ``str`` of it is the ``text``.

    ``branches`` are the filters that the service is asked with, none if nothing can match.
    ``residual`` is what is evaluated on its answers, None if nothing is left to evaluate.

    Requests are those for the best ``top_k`` (None for all) of ``vector_count`` vectors.
    ``estimated_requests`` holds if the residual drops little of what the service returns.
    ``most_requests`` is an upper bound, also if vectors are in no bucket and have to be read by
    id; requests that are tried again are not counted. ``estimated_queries`` and ``most_queries``
    are the part of both that Cloudflare bills. A tenant's view counts its own vectors only, but
    without buckets others' would be read too, which the text says.
    """

    top_k: int | None
    vector_count: int
    branches: tuple[Filter, ...]
    residual: str | None
    estimated_requests: int
    most_requests: int
    estimated_queries: int
    most_queries: int
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


def explain(
    plan: Plan,
    top_k: int | None,
    vector_count: int,
    *,
    partitioned: bool,
    confined: bool = False,
) -> Explanation:
    """The explanation of a plan for a search, or (``top_k`` None) for finding all that matches.

    ``partitioned``: whether the index spreads its records over buckets. ``confined``: it is for a
    tenant, and ``vector_count`` is that of its own vectors.
    """
    price = _price(plan, top_k, vector_count, partitioned=partitioned)
    text = "Nothing can match; no request is sent."
    if not plan.impossible:
        goal = f"The best {top_k}" if top_k is not None else "All"
        lines = [
            f"{goal} of {vector_count} vectors that match {_brief(plan.expression)}",
            *_steps(plan),
            _requests(price, partitioned=partitioned, confined=confined),
        ]
        if not partitioned:
            lines.insert(-1, "Without buckets, what one answer does not hold is read by id")
        text = "\n".join(lines)
    residual = None if plan.residual is None else describe(plan.residual)
    return Explanation(
        top_k,
        vector_count,
        plan.branches,
        residual,
        price.estimated,
        price.most,
        price.estimated_queries,
        price.most_queries,
        text,
    )


def _steps(plan: Plan) -> Iterator[str]:
    asked = "; or ".join(_first(plan.branches)) if plan.restricts else "everything"
    yield f"Asked of the service: {asked}"
    if plan.too_many:
        yield "Some parts would take too many branches and are evaluated here instead"
    if plan.residual is not None:
        why = ", against values of another type than their index's" if plan.precise else ""
        yield f"Evaluated on its answers{why}: {_brief(plan.residual)}"
    if plan.unpushed:
        yield f"Not looked up in any metadata index: {'; '.join(map(_brief, plan.unpushed))}"


def _requests(price: _Price, *, partitioned: bool, confined: bool) -> str:
    if confined and not partitioned:
        return "Requests: as many as reading the whole index, if everything has to be read"
    # Reading by id is reading others' vectors, too, whose number a tenant is not to learn.
    most = "" if confined else f", at most {price.most}"
    parts = f"; {price.everything} if everything is read, bucket by bucket" if partitioned else ""
    return f"Requests: about {price.estimated}{most}{parts}"


class _Price(NamedTuple):
    """How many requests a plan takes; ``everything`` if all that its branches match is read."""

    estimated: int = 0
    everything: int = 0
    most: int = 0
    estimated_queries: int = 0
    most_queries: int = 0


def _price(plan: Plan, top_k: int | None, vector_count: int, *, partitioned: bool) -> _Price:
    if plan.impossible:
        return _Price()

    def answers(fullness: float, cap: int) -> int:
        """How many hold all vectors, if each is so full."""
        return math.ceil(vector_count / (fullness * cap))

    branches = len(plan.branches)
    decided_by_index = plan.residual is None or plan.readable is not None
    exact = limits.MAX_TOP_K_WITH_PAYLOAD
    cap = limits.MAX_TOP_K if decided_by_index and top_k is None else exact
    by_id = math.ceil(vector_count / _PER_GET)
    listed = 1 + by_id + math.ceil(vector_count / limits.MAX_LIST_COUNT)
    everything, queries = branches + listed, branches
    most_queries = branches + _BESIDE
    if partitioned:
        everything = queries = branches * (3 + answers(_USUALLY, cap))
        most_queries += branches * (4 + answers(_AT_LEAST, cap))
        if top_k is None:
            # Where one answer has overlooked what another shows, all is asked for once more.
            most_queries += branches * (4 + answers(_AT_LEAST, exact))
    # What is in no bucket cannot be divided, and then all are read by id nevertheless.
    most = most_queries + listed + math.ceil(min(top_k or 0, limits.MAX_TOP_K) / _PER_GET)
    if plan.residual is not None:
        # Answers may not show what it needs of each vector.
        most += by_id if partitioned else min(by_id, branches * limits.MAX_TOP_K // _PER_GET)
    wanted = vector_count if top_k is None else min(top_k, vector_count)
    if plan.restricts and top_k is None:
        # How many match is not known. If few do, one answer for each branch is enough.
        wanted = 0
    if wanted <= cap or vector_count <= cap:
        estimated = branches
    elif partitioned:
        estimated = branches + 2 + math.ceil(wanted / (_USUALLY * cap))
    else:
        estimated = everything
    estimated = min(estimated, everything)
    return _Price(estimated, everything, most, min(estimated, queries), most_queries)


def _brief(expression: Expression) -> str:
    return _shown(unparse(expression))


def _shown(form: Any) -> str:
    """A filter as Python writes it, long lists cut short."""
    if isinstance(form, Mapping):
        members = (f"{key!r}: {_shown(value)}" for key, value in form.items())
        return f"{{{', '.join(members)}}}"
    return f"[{', '.join(_first(form))}]" if isinstance(form, list) else repr(form)


def _first(forms: Sequence[Any]) -> list[str]:
    """The first few of ``forms``, and how many more there are."""
    if len(forms) <= _SHOWN:
        return [*map(_shown, forms)]
    return [*map(_shown, forms[: _SHOWN - 1]), f"... {len(forms) - _SHOWN + 1} more"]
