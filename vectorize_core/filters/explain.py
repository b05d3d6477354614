"""What a filter will cost, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vectorize_core import limits
from vectorize_core.filters.ast import Expression
from vectorize_core.filters.describe import describe, unparse
from vectorize_core.filters.plan import Plan
from vectorize_core.models import Filter

_USUALLY = 0.8
"""How full the answers are that windows are cut for."""
_SHOWN: Final = 4
"""Of more values, or branches, ``str`` shows the first only."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a filter is answered; ``str`` of it says so in words.

    ``branches`` are what the service is asked, none if nothing can match; ``residual`` is what is
    evaluated on its answers. ``estimated_requests`` is if little of what the service returns is
    taken out by the residual; ``most_requests`` is if everything has to be read.
    """

    plan: Plan
    top_k: int | None
    vector_count: int
    windows: bool
    estimated_requests: int
    most_requests: int

    @property
    def branches(self) -> tuple[Filter, ...]:
        """What the service is asked for."""
        return self.plan.branches

    @property
    def residual(self) -> str | None:
        """What is evaluated on the service's answers."""
        return None if self.plan.residual is None else describe(self.plan.residual)

    def __str__(self) -> str:
        if self.plan.impossible:
            return "Nothing can match; no request is sent."
        goal = f"The best {self.top_k}" if self.top_k is not None else "All"
        lines = [f"{goal} of {self.vector_count} vectors that match {_brief(self.plan.expression)}"]
        if self.plan.restricts:
            asked = "; or ".join(_first(self.branches))
            lines.append(f"Asked of the service: {asked}")
        else:
            lines.append("Asked of the service: everything")
        if self.plan.too_many:
            lines.append("Some parts would take too many branches and are evaluated here instead")
        if self.plan.residual is not None:
            why = ", against values of another type than their index's" if self.plan.precise else ""
            lines.append(f"Evaluated on its answers{why}: {_brief(self.plan.residual)}")
        if self.plan.unpushed:
            tests = "; ".join(map(_brief, self.plan.unpushed))
            lines.append(f"Not looked up in any metadata index: {tests}")
        if not self.windows:
            lines.append("Without buckets, what one answer does not hold is read by id")
        lines.append(
            f"Requests: about {self.estimated_requests}, at most {self.most_requests} "
            "if everything has to be read"
        )
        return "\n".join(lines)


def explain(plan: Plan, top_k: int | None, vector_count: int, *, windows: bool) -> Explanation:
    """The explanation of a plan for a search, or (``top_k`` None) for finding all that matches.

    ``windows``: whether the index spreads its records over buckets.
    """
    if plan.impossible:
        return Explanation(plan, top_k, vector_count, windows, 0, 0)
    branches = len(plan.branches)
    decided_by_index = plan.residual is None or plan.readable is not None
    cap = limits.MAX_TOP_K if decided_by_index else limits.MAX_TOP_K_WITH_PAYLOAD
    if top_k is not None:
        cap = limits.MAX_TOP_K_WITH_PAYLOAD
    if windows:
        everything = branches * (3 + math.ceil(vector_count / (_USUALLY * cap)))
    else:
        by_id = math.ceil(vector_count / limits.MAX_IDS_PER_GET)
        everything = branches + 1 + by_id + math.ceil(vector_count / limits.MAX_LIST_COUNT)
    wanted = vector_count if top_k is None else min(top_k, vector_count)
    if plan.restricts and top_k is None:
        # Nothing is known of how many match: one answer each, if few do.
        wanted = 0
    if wanted <= cap or vector_count <= cap:
        estimated = branches
    elif windows:
        estimated = branches + 2 + math.ceil(wanted / (_USUALLY * cap))
    else:
        estimated = everything
    return Explanation(
        plan, top_k, vector_count, windows, min(estimated, everything), max(estimated, everything)
    )


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
