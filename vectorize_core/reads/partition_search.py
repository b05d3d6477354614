"""The one reading algorithm: more matches than one answer of the service holds, and none missed.

An answer holds at most 50 or 100 matches. The window of a full one is divided until what nobody
has seen cannot matter: for a search, until ``k`` survivors of the residual are at least as good
as every frontier; for an enumeration, until no answer is full. docs/filters.md explains it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from vectorize_core import layout, limits
from vectorize_core.api.operations import GetInfo, Query
from vectorize_core.models import (
    Filter,
    IndexType,
    Match,
    Metric,
    QueryResult,
    ReturnMetadata,
    Values,
    Vector,
)
from vectorize_core.reads.by_id import DEFAULT_CONCURRENCY, get_many
from vectorize_core.reads.partitions import Density, Window, room
from vectorize_core.reads.post_filter import Sieve
from vectorize_core.reads.request_limit import Ceiling
from vectorize_core.state.index_state import IndexState, get_details, get_metadata_indexes
from vectorize_core.transport.io import Io, each

_MOST_WINDOWS: Final = 16
_TOO_MANY_UNSURE: Final = 0.2
_NOWHERE: Final = "_vs_nowhere"
_SPREADING: Final = {name: layout.METADATA_INDEXES[name] for name in (layout.BUCKET, layout.OWN)}


class CannotDivideError(Exception):
    """A full answer may hide more, and its window cannot be divided: not by buckets."""


class OverlookedError(Exception):
    """A record that one answer showed is missing from the answers that should show it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the service is asked, and how much of each match it gives."""

    sieve: Sieve
    vector: Values | None = None
    vector_id: str | None = None
    namespace: str | None = None
    return_values: bool = False
    return_metadata: ReturnMetadata = "none"

    @property
    def cap(self) -> int:
        """How many matches an answer can hold."""
        payload = self.return_values or self.return_metadata == "all"
        return limits.MAX_TOP_K_WITH_PAYLOAD if payload else limits.MAX_TOP_K

    def ask(self, index: str, top_k: int, filter: Filter) -> Query:
        """The request for the best ``top_k`` of what ``filter`` matches."""
        return Query(
            index,
            vector=self.vector,
            vector_id=self.vector_id,
            top_k=top_k,
            return_values=self.return_values,
            return_metadata=self.return_metadata,
            filter=filter or None,
            namespace=self.namespace,
        )


@dataclass(slots=True)
class Best:
    """The goal of a search, the ``k`` best; of an enumeration (``k`` None), all."""

    k: int | None
    metric: Metric = "cosine"
    scores: list[float] = field(default_factory=list)
    """A heap of the best ``k`` scores, larger being better; the worst comes first."""

    def rank(self, score: float) -> float:
        """The score, or its negative, so that a larger one is better."""
        return score if self.metric == "cosine" else -score

    def note(self, score: float) -> None:
        """A survivor has been found."""
        if self.k is None:
            return
        if len(self.scores) < self.k:
            heapq.heappush(self.scores, self.rank(score))
        else:
            heapq.heappushpop(self.scores, self.rank(score))

    def wants(self, bound: float | None) -> bool:
        """Whether a record whose score is at best ``bound`` could be among the best."""
        if self.k is None or bound is None or len(self.scores) < self.k:
            return True
        return self.rank(bound) > self.scores[0]


class Survey:
    """One reading of an index. ``fetched`` are the vectors that had to be read by id."""

    def __init__(
        self, io: Io, state: IndexState, question: Question, best: Best, ceiling: Ceiling
    ) -> None:
        self.fetched: dict[str, Vector] = {}
        self._io = io
        self._state = state
        self._question = question
        self._sieve = question.sieve
        self._branches = question.sieve.plan.branches
        self._best = best
        self._ceiling = ceiling
        self._densities = [Density() for _ in self._branches]
        self._seen: set[str] = set()
        self._survivors = 0
        self._full: dict[Window, set[str]] = {}
        self._samples: dict[int, set[str]] = {}
        self._divided: set[str] = set()
        self._shown: set[str] = set()
        self._count: int | None = None
        self._rounds = 0

    async def rounds(
        self, *, top_k: int | None = None, precise_start: bool = False
    ) -> AsyncGenerator[list[Match], None]:
        """Survivors that have not been yielded before, as answers come in.

        ``top_k`` is how much to ask for at first. With ``precise_start`` the first answer of each
        branch is an exactly scored one, which shows whether the others overlook records.
        """
        pending = [
            Window(branch, top_k=top_k, precise=precise_start)
            for branch in range(len(self._branches))
        ]
        while due := [window for window in pending if self._best.wants(window.bound)]:
            others = [window for window in pending if window not in due]
            batch, rest = self._next([part for window in due for part in await self._open(window)])
            pending = others + rest
            self._ceiling.charge(len(batch))
            found: list[Match] = []
            # A search is nearly always a single request, which needs no thread of its own.
            limit = max(min(DEFAULT_CONCURRENCY, len(batch)), 1)
            async with aclosing(self._io.map(self._ask, each(batch), limit=limit)) as outcomes:
                answers = [(done.item, done.result().matches) async for done in outcomes]
            for window, matches in answers:
                found += self._fresh(matches)
                pending += self._left(window, matches)
            survivors = await self._survivors_of(found)
            for match in survivors:
                self._best.note(match.score)
            if survivors:
                yield survivors
            self._check_ceiling(pending)
        await self._check_reappearance(pending)

    # Asking

    async def _ask(self, window: Window) -> QueryResult:
        branch = window.filter(self._branches[window.branch])
        question = self._question_of(window)
        return await self._io.call(question.ask(self._state.name, self._top_k(window), branch))

    def _question_of(self, window: Window) -> Question:
        return replace(self._question, return_values=True) if window.precise else self._question

    def _top_k(self, window: Window) -> int:
        cap = self._question_of(window).cap
        return cap if window.top_k is None else min(window.top_k, cap)

    def _next(self, due: list[Window]) -> tuple[list[Window], list[Window]]:
        """Windows to ask for now, the most promising first, and what is left of ``due``."""
        whole = sum(window.part == "whole" for window in due)
        most = max(whole, min(4 << self._rounds, _MOST_WINDOWS))
        self._rounds += not whole
        batch: list[Window] = []
        others: list[Window] = []
        probed: set[int] = set()
        for window in sorted(due, key=self._promise, reverse=True):
            rest: Window | None = window
            while rest is not None and len(batch) < most and rest.branch not in probed:
                piece, rest = rest.cut(self._width(rest))
                batch.append(piece)
                if self._is_probe(piece):
                    probed.add(piece.branch)
            if rest is not None:
                others.append(rest)
        return batch, others

    def _is_probe(self, window: Window) -> bool:
        """Whether its answer will first tell how dense its branch is."""
        learning = self._best.k is None and not self._densities[window.branch].known
        return learning and window.part == "buckets"

    def _promise(self, window: Window) -> float:
        return math.inf if window.bound is None else self._best.rank(window.bound)

    def _width(self, window: Window) -> int:
        """How many buckets fill an answer about as far as they should."""
        density = self._wanted(window, self._densities[window.branch].cautious)
        return (
            int(min(room(self._question.cap) / density, window.width))
            if density
            else (window.width)
        )

    def _wanted(self, window: Window, density: float) -> float:
        """Hits in a bucket that have to be looked at: of a search, those that compete."""
        if self._best.k is None:
            return density
        # Buckets have nothing to do with scores, so the best are spread evenly too.
        surviving = (self._survivors + 1) / (len(self._seen) + 1)
        return min(density, self._best.k / surviving / layout.BUCKETS)

    # Answers

    def _fresh(self, matches: tuple[Match, ...]) -> list[Match]:
        fresh = [match for match in matches if match.id not in self._seen]
        self._seen.update(match.id for match in fresh)
        return fresh

    def _left(self, window: Window, matches: tuple[Match, ...]) -> list[Window]:
        """What an answer leaves unseen."""
        ids = {match.id for match in matches}
        if not window.precise and not self._samples.pop(window.branch, set()) <= ids:
            # An exactly scored answer showed what one that is twice as long does not.
            raise OverlookedError
        if len(matches) < self._top_k(window):
            self._shown |= ids
            if window.part == "buckets":
                self._densities[window.branch].note(len(matches), window.width)
            return []
        larger = replace(window, top_k=None, precise=False, bound=matches[-1].score)
        if self._top_k(larger) > len(matches):
            if window.precise:
                self._samples[window.branch] = ids
            self._divided |= ids
            return [larger]
        full = replace(larger, full=True)
        self._full[full] = ids
        return [full]

    async def _open(self, window: Window) -> list[Window]:
        """The parts of a window whose answer was full; `CannotDivideError` if it has none."""
        if not window.full:
            return [window]
        self._divided |= self._full.pop(window)
        parts = window.divided()
        if not parts or not await self._is_spread():
            raise CannotDivideError
        density = self._densities[window.branch]
        if self._best.k is None and density.most == math.inf:
            # Not even all vectors of the index are more than this.
            density.most = max(await self._vector_count() / layout.BUCKETS, 0.0)
        return parts

    async def _is_spread(self) -> bool:
        """Whether buckets and strays are all there is, and the service can be asked for both."""
        if not has_buckets(await get_metadata_indexes(self._io, self._state)):
            return False
        if any(not _SPREADING.keys().isdisjoint(branch) for branch in self._branches):
            return False
        if self._state.finds_missing is None:
            # No vector has this property: either NOT EQUAL finds what lacks one, or it does not.
            self._ceiling.charge()
            dimensions = (await get_details(self._io, self._state)).config.dimensions
            probe = Query(
                self._state.name,
                vector=anywhere(dimensions),
                top_k=1,
                filter={_NOWHERE: {"$ne": True}},
            )
            self._state.finds_missing = bool((await self._io.call(probe)).matches)
        return self._state.finds_missing

    async def _vector_count(self) -> int:
        if self._count is None:
            self._ceiling.charge()
            self._count = (await self._io.call(GetInfo(self._state.name))).vector_count
        return self._count

    # Survivors

    async def _survivors_of(self, found: list[Match]) -> list[Match]:
        """The matches that pass the residual; what cannot be told from the answer is read."""
        given = self._question.return_metadata
        if given == "all":
            await self._sieve.prepare(self._io, found)
        verdicts = {match.id: self._sieve.passes(match, given) for match in found}
        unsure = [match.id for match in found if verdicts[match.id] is None]
        if unsure:
            self._ceiling.charge(math.ceil(len(unsure) / limits.MAX_IDS_PER_GET))
            vectors = await get_many(self._io, self._state, unsure)
            self.fetched.update(vectors)
            await self._sieve.prepare(self._io, list(vectors.values()))
            verdicts.update((i, self._sieve.holds(vector)) for i, vector in vectors.items())
            if given == "indexed" and len(unsure) > _TOO_MANY_UNSURE * len(found):
                self._question = replace(
                    self._question,
                    return_metadata="all",
                    # It costs nothing more where scores do not matter.
                    return_values=self._question.return_values or self._best.k is None,
                )
        survivors = [match for match in found if verdicts[match.id]]
        self._survivors += len(survivors)
        return survivors

    # Checks

    def _check_ceiling(self, pending: list[Window]) -> None:
        """Give up early rather than after many requests."""
        likely = 0.0
        for window in pending:
            if window.part == "buckets" and self._best.wants(window.bound):
                hits = self._wanted(window, self._densities[window.branch].likely)
                likely += hits * window.width / room(self._question.cap)
        self._ceiling.expect(math.floor(likely))

    async def _check_reappearance(self, pending: list[Window]) -> None:
        """Every record of an answer that was divided must be in the answers to its parts."""
        shown = self._shown.union(*self._full.values())
        unseen = [
            vector_id
            for vector_id in self._divided - shown
            if not any(window.has(vector_id) for window in pending if not window.full)
        ]
        if not unseen:
            return
        self._ceiling.charge(math.ceil(len(unseen) / limits.MAX_IDS_PER_GET))
        missing = [*(await get_many(self._io, self._state, unseen)).values()]
        if self._question.return_values:
            # What was changed in between may well be missing.
            await self._sieve.prepare(self._io, missing)
            missing = [vector for vector in missing if self._is_match(vector)]
        if any(not in_bucket(vector) for vector in missing):
            raise CannotDivideError
        if missing and self._best.k is None:
            raise OverlookedError

    def _is_match(self, vector: Vector) -> bool:
        namespace = self._question.namespace
        inside = namespace is None or vector.namespace == namespace
        return inside and (not self._sieve.plan.complete or self._sieve.selects(vector))


def has_buckets(indexed: Mapping[str, IndexType]) -> bool:
    """Whether an index with these metadata indexes can spread records over buckets."""
    return _SPREADING.items() <= indexed.items()


def anywhere(dimensions: int) -> Values:
    """A vector to ask with where the order of the answer does not matter."""
    vector = np.zeros(dimensions, np.float32)
    vector[0] = 1.0
    return vector


def in_bucket(vector: Vector) -> bool:
    """Whether a vector says which bucket it is in."""
    return _SPREADING.keys() <= (vector.metadata or {}).keys()
