"""The partition search: more matches than one answer of the service holds, and none missed.

Records of our layout are spread evenly over 2^20 buckets. A *partition* is a branch of a plan,
narrowed to a range of buckets, or to the *unbucketed* records, which are in none.

An answer holds at most 50 or 100 matches. A partition whose answer was full is divided until
unseen records cannot matter: for a search, until ``k`` matches that passed the post-filter are at
least as good as every score bound; for an enumeration, until no answer is full. docs/filters.md
explains it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

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
from vectorize_core.reads.by_id import DEFAULT_CONCURRENCY, get_many, has_too_many
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import RequestLimit
from vectorize_core.state.index_state import IndexState, get_details, get_metadata_indexes
from vectorize_core.transport.io import Io, each
from vectorize_core.transport.workers import aclosing

_MOST_AT_ONCE: Final = 16
_TOO_MANY_UNSURE: Final = 0.2
_FIRST_PIECES: Final = 16
"""A first look at a partition of which nothing is known is at one of so many pieces."""
_NOWHERE: Final = "_vs_nowhere"
_SPREADING: Final = {name: layout.METADATA_INDEXES[name] for name in (layout.BUCKET, layout.OWN)}


@dataclass(frozen=True, slots=True)
class Partition:
    """Part of a branch, to be asked for.

    ``bound`` is its score bound: the best score that an unseen record in it can have, None if
    unlimited. ``top_k`` is how much to ask for, None for as much as an answer holds; ``precise``
    asks for exact scores. One that is ``full`` was asked for, its answer was full, and ``bound``
    is the last score in it.
    """

    branch: int
    part: Literal["whole", "buckets", "unbucketed"] = "whole"
    low: int = 0
    high: int = layout.BUCKETS
    bound: float | None = None
    top_k: int | None = None
    precise: bool = False
    full: bool = False

    @property
    def width(self) -> int:
        """How many buckets it has."""
        return self.high - self.low

    def filter(self, branch: Filter) -> Filter:
        """What the service is asked for."""
        if self.part == "whole":
            return branch
        if self.part == "unbucketed":
            return {**branch, layout.OWN: {"$ne": True}}
        # The outermost partitions are open: no bucket number falls beside them.
        ends: dict[str, Any] = {}
        if self.low > 0:
            ends["$gte"] = self.low
        if self.high < layout.BUCKETS:
            ends["$lt"] = self.high
        return {**branch, layout.BUCKET: ends}

    def has(self, vector_id: str) -> bool:
        """Whether a record of that id belongs here."""
        return self.part != "buckets" or self.low <= layout.bucket(vector_id) < self.high

    def cut(self, width: int) -> tuple[Partition, Partition | None]:
        """A first piece of about ``width`` buckets, one of equal pieces, and the others."""
        pieces = math.ceil(self.width / max(width, 1)) if self.part == "buckets" else 1
        if pieces < 2:
            return self, None
        at = self.low + max(self.width // pieces, 1)
        return replace(self, high=at), replace(self, low=at)

    def divided(self) -> list[Partition]:
        """What to ask for after a full answer; nothing if it cannot be divided further."""
        if self.part == "unbucketed" or self.width == 1:
            return []
        spread = Partition(self.branch, "buckets", self.low, self.high, self.bound)
        middle = (self.low + self.high) // 2
        halves = [replace(spread, high=middle), replace(spread, low=middle)]
        return halves if self.part == "buckets" else [*halves, replace(spread, part="unbucketed")]


@dataclass(slots=True)
class Density:
    """How many hits to expect in each bucket of a branch.

    ``most`` is an upper bound. So far ``hits`` were seen in ``width`` buckets.
    """

    most: float = math.inf
    hits: int = 0
    width: int = 0

    def note(self, hits: int, width: int) -> None:
        """An answer that was not full."""
        self.hits += hits
        self.width += width

    @property
    def known(self) -> bool:
        """Whether anything has been seen."""
        return self.width > 0

    @property
    def cautious(self) -> float:
        """An estimate that is hardly too low: two standard deviations above what was seen."""
        if not self.width:
            return self.most
        return min(self.most, (self.hits + 2 * math.sqrt(self.hits) + 1) / self.width)

    @property
    def likely(self) -> float:
        """The mean of what was seen."""
        return min(self.most, self.hits / self.width) if self.width else 0.0


def room(cap: int) -> float:
    """How many hits to aim for in an answer that holds ``cap``, so that few are full."""
    return cap - 2 * math.sqrt(cap)


class CannotDivideError(Exception):
    """A full answer may hide more matches, and its partition cannot be divided by buckets."""


class OverlookedError(Exception):
    """A record that one answer showed is missing from the answers that should show it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the service is asked, and how much of each match it gives."""

    post_filter: PostFilter
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
    """The goal of a search, the ``k`` best; of an enumeration (``k`` None), all.

    None of those whose score is worse than ``score_threshold``, unless None.
    """

    k: int | None
    metric: Metric = "cosine"
    scores: list[float] = field(default_factory=list)
    """A heap of the best ``k`` scores, larger being better; the worst comes first."""
    score_threshold: float | None = None

    def rank(self, score: float) -> float:
        """The score, or its negative, so that a larger one is better."""
        return score if self.metric == "cosine" else -score

    @property
    def likely(self) -> float:
        """How many will be found: with a threshold, as far as is known, twice as many as were."""
        most = math.inf if self.k is None else self.k
        return most if self.score_threshold is None else min(most, 2 * len(self.scores) + 1)

    def is_good(self, score: float) -> bool:
        """Whether a score is not worse than the threshold."""
        least = self.score_threshold
        return least is None or self.rank(score) >= self.rank(least)

    def worst(self, matches: Sequence[Match]) -> float:
        """The score that no unseen record can be better than, after a full answer."""
        return min((match.score for match in matches), key=self.rank)

    def note(self, score: float) -> None:
        """A match has passed the post-filter."""
        if self.k is None or not self.is_good(score):
            return
        if len(self.scores) < self.k:
            heapq.heappush(self.scores, self.rank(score))
        else:
            heapq.heappushpop(self.scores, self.rank(score))

    def wants(self, bound: float | None) -> bool:
        """Whether a record whose score is at best ``bound`` could be among the best."""
        if bound is not None and not self.is_good(bound):
            return False
        if self.k is None or bound is None or len(self.scores) < self.k:
            return True
        return self.rank(bound) > self.scores[0]


class PartitionSearch:
    """One search or enumeration. ``fetched`` are the vectors that had to be read by id."""

    def __init__(
        self, io: Io, state: IndexState, question: Question, best: Best, request_limit: RequestLimit
    ) -> None:
        self.fetched: dict[str, Vector] = {}
        self._io = io
        self._state = state
        self._question = question
        self._post_filter = question.post_filter
        self._branches = question.post_filter.plan.branches
        self._best = best
        self._request_limit = request_limit
        self._densities = [Density() for _ in self._branches]
        self._seen: set[str] = set()
        """The ids in all answers so far."""
        self._passed = 0
        """How many of them passed the post-filter."""
        self._full: dict[Partition, set[str]] = {}
        """The ids in full answers, by partitions that are not divided yet."""
        self._samples: dict[int, set[str]] = {}
        """The ids in exactly scored answers, by branches whose next answer must have them too."""
        self._divided: set[str] = set()
        """The ids in answers that were divided: they must reappear in those of the parts."""
        self._shown: set[str] = set()
        """The ids in answers that were not full."""
        self._count: int | None = None
        """How many vectors the index has, where that was asked."""
        self._rounds = self._asked = 0

    async def rounds(
        self, *, top_k: int | None = None, precise_start: bool = False
    ) -> AsyncGenerator[list[Match], None]:
        """Matches that passed the post-filter, each once, as answers come in.

        ``top_k`` is how much to ask for at first. With ``precise_start`` the first answer of each
        branch is an exactly scored one, which shows whether the others overlook records.
        """
        pending = [
            Partition(branch, top_k=top_k, precise=precise_start)
            for branch in range(len(self._branches))
        ]
        while due := [partition for partition in pending if self._best.wants(partition.bound)]:
            others = [partition for partition in pending if not self._best.wants(partition.bound)]
            batch, rest = self._next(
                [part for partition in due for part in await self._open(partition)]
            )
            pending = others + rest
            self._request_limit.charge(len(batch))
            self._asked += len(batch)
            found: list[Match] = []
            # A search is nearly always a single request, which needs no thread of its own.
            limit = max(min(DEFAULT_CONCURRENCY, len(batch)), 1)
            async with aclosing(self._io.map(self._ask, each(batch), limit=limit)) as outcomes:
                answers = [(done.item, done.result().matches) async for done in outcomes]
            for partition, matches in answers:
                found += self._fresh(matches)
                pending += self._left(partition, matches)
            passing = await self._passing(found)
            for match in passing:
                self._best.note(match.score)
            if passing:
                yield passing
            self._check_limit(pending)
            await self._check_end()
        await self._check_reappearance(pending)

    # Asking

    async def _ask(self, partition: Partition) -> QueryResult:
        branch = partition.filter(self._branches[partition.branch])
        question = self._question_of(partition)
        return await self._io.call(question.ask(self._state.name, self._top_k(partition), branch))

    def _question_of(self, partition: Partition) -> Question:
        return replace(self._question, return_values=True) if partition.precise else self._question

    def _top_k(self, partition: Partition) -> int:
        cap = self._question_of(partition).cap
        return cap if partition.top_k is None else min(partition.top_k, cap)

    def _next(self, due: list[Partition]) -> tuple[list[Partition], list[Partition]]:
        """Partitions to ask for now, the most promising first, and what is left of ``due``."""
        whole = sum(partition.part == "whole" for partition in due)
        most = max(whole, min(4 << self._rounds, _MOST_AT_ONCE))
        self._rounds += not whole
        batch: list[Partition] = []
        others: list[Partition] = []
        probed: set[int] = set()
        for partition in sorted(due, key=self._promise, reverse=True):
            rest: Partition | None = partition
            while rest is not None and len(batch) < most and rest.branch not in probed:
                piece, rest = rest.cut(self._width(rest))
                batch.append(piece)
                if self._is_probe(piece):
                    probed.add(piece.branch)
            if rest is not None:
                others.append(rest)
        return batch, others

    def _is_probe(self, partition: Partition) -> bool:
        """Whether its answer will first tell how dense its branch is."""
        learning = self._best.k is None and not self._densities[partition.branch].known
        return learning and partition.part == "buckets"

    def _promise(self, partition: Partition) -> float:
        return math.inf if partition.bound is None else self._best.rank(partition.bound)

    def _width(self, partition: Partition) -> int:
        """How many buckets fill an answer about as far as they should."""
        density = self._wanted(partition, self._densities[partition.branch].cautious)
        if not density:
            return partition.width
        if density == math.inf:
            return max(partition.width // _FIRST_PIECES, 1)
        return int(min(room(self._question.cap) / density, partition.width))

    def _wanted(self, partition: Partition, density: float) -> float:
        """Hits in a bucket that have to be looked at: in a search, only those that compete."""
        if self._best.k is None:
            return density
        # Buckets have nothing to do with scores, so the best are spread evenly too.
        passing = (self._passed + 1) / (len(self._seen) + 1)
        return min(density, self._best.likely / passing / layout.BUCKETS)

    # Answers

    def _fresh(self, matches: tuple[Match, ...]) -> list[Match]:
        fresh = [match for match in matches if match.id not in self._seen]
        self._seen.update(match.id for match in fresh)
        return fresh

    def _left(self, partition: Partition, matches: tuple[Match, ...]) -> list[Partition]:
        """What an answer leaves unseen."""
        ids = {match.id for match in matches}
        if not partition.precise and not self._samples.pop(partition.branch, set()) <= ids:
            # An exactly scored answer showed what one that is twice as long does not.
            raise OverlookedError
        if len(matches) < self._top_k(partition):
            self._shown |= ids
            if partition.part == "buckets":
                self._densities[partition.branch].note(len(matches), partition.width)
            return []
        larger = replace(partition, top_k=None, precise=False, bound=self._best.worst(matches))
        if self._top_k(larger) > len(matches):
            if partition.precise:
                self._samples[partition.branch] = ids
            self._divided |= ids
            return [larger]
        full = replace(larger, full=True)
        self._full[full] = ids
        return [full]

    async def _open(self, partition: Partition) -> list[Partition]:
        """The parts of a partition whose answer was full; `CannotDivideError` if it has none."""
        if not partition.full:
            return [partition]
        self._divided |= self._full.pop(partition)
        parts = partition.divided()
        if not parts or not await self._is_spread():
            raise CannotDivideError
        density = self._densities[partition.branch]
        if self._best.k is None and density.most == math.inf and self._question.namespace is None:
            # Not even all vectors of the index are more than this. Of one namespace it would say
            # little, and others' records would decide how many requests a tenant needs.
            density.most = max(await self._vector_count() / layout.BUCKETS, 0.0)
        return parts

    async def _is_spread(self) -> bool:
        """Whether the service can be asked for buckets, and for the unbucketed records."""
        if not has_buckets(await get_metadata_indexes(self._io, self._state)):
            return False
        if any(not _SPREADING.keys().isdisjoint(branch) for branch in self._branches):
            return False
        if self._state.finds_missing is None:
            # No vector has this property: either NOT EQUAL finds what lacks one, or it does not.
            self._request_limit.charge()
            dimensions = (await get_details(self._io, self._state)).config.dimensions
            probe = Query(
                self._state.name,
                vector=arbitrary_query(dimensions),
                top_k=1,
                filter={_NOWHERE: {"$ne": True}},
            )
            self._state.finds_missing = bool((await self._io.call(probe)).matches)
        return self._state.finds_missing

    async def _vector_count(self, *, refresh: bool = False) -> int:
        if self._count is None or refresh:
            self._request_limit.charge()
            self._count = (await self._io.call(GetInfo(self._state.name))).vector_count
        return self._count

    # The post-filter

    async def _passing(self, found: list[Match]) -> list[Match]:
        """The matches that pass; where the answer cannot tell, the vector is read by id."""
        given = self._question.return_metadata
        verdicts = await self._post_filter.verdicts(self._io, found, given)
        passed = {match.id for match, passes in zip(found, verdicts, strict=True) if passes}
        unsure = [m.id for m, passes in zip(found, verdicts, strict=True) if passes is None]
        if unsure:
            self._request_limit.charge(math.ceil(len(unsure) / limits.MAX_IDS_PER_GET))
            vectors = await get_many(self._io, self._state, unsure)
            self.fetched.update(vectors)
            whole = await self._post_filter.passing(self._io, list(vectors.values()))
            passed |= {vector.id for vector in whole}
            if given == "indexed" and len(unsure) > _TOO_MANY_UNSURE * len(found):
                self._question = replace(
                    self._question,
                    return_metadata="all",
                    # It costs nothing more where scores do not matter.
                    return_values=self._question.return_values or self._best.k is None,
                )
        passing = [match for match in found if match.id in passed]
        self._passed += len(passing)
        return passing

    # Checks

    def _check_limit(self, pending: list[Partition]) -> None:
        """Give up early rather than after many requests."""
        likely = 0.0
        for partition in pending:
            if partition.part == "buckets" and self._best.wants(partition.bound):
                hits = self._wanted(partition, self._densities[partition.branch].likely)
                likely += hits * partition.width / room(self._question.cap)
        self._request_limit.expect(math.floor(likely))

    async def _check_end(self) -> None:
        """`CannotDivideError` if there are more answers or ids than the index can account for."""
        most = max(len(self._seen), self._asked)
        if self._count is None or not has_too_many(most, self._count):
            return
        if has_too_many(most, await self._vector_count(refresh=True)):
            raise CannotDivideError

    async def _check_reappearance(self, pending: list[Partition]) -> None:
        """Every record of an answer that was divided must be in the answers to its parts."""
        shown = self._shown.union(*self._full.values())
        unseen = [
            vector_id
            for vector_id in self._divided - shown
            if not any(partition.has(vector_id) for partition in pending if not partition.full)
        ]
        if not unseen:
            return
        self._request_limit.charge(math.ceil(len(unseen) / limits.MAX_IDS_PER_GET))
        missing = [*(await get_many(self._io, self._state, unseen)).values()]
        if self._question.return_values:
            # What was changed in between may well be missing.
            missing = await self._matching(missing)
        if any(not in_bucket(vector) for vector in missing):
            raise CannotDivideError
        if missing and self._best.k is None:
            raise OverlookedError

    async def _matching(self, vectors: list[Vector]) -> list[Vector]:
        namespace = self._question.namespace
        if self._post_filter.plan.complete:
            return await self._post_filter.select(self._io, vectors, namespace)
        return [v for v in vectors if namespace is None or v.namespace == namespace]


def has_buckets(indexed: Mapping[str, IndexType]) -> bool:
    """Whether an index with these metadata indexes can spread records over buckets."""
    return _SPREADING.items() <= indexed.items()


def arbitrary_query(dimensions: int) -> Values:
    """An arbitrary query vector, for where the order of the answer does not matter."""
    vector = np.zeros(dimensions, np.float32)
    vector[0] = 1.0
    return vector


def in_bucket(vector: Vector) -> bool:
    """Whether a vector says which bucket it is in."""
    return _SPREADING.keys() <= (vector.metadata or {}).keys()
