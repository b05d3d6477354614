"""Exact search: float32 arithmetic finds all candidates, float64 decides between them.

One pass scores all rows with BLAS, as fast as memory is read. Its error is bounded (that of a sum
of ``d`` products by ``d`` roundings), so every row that can be among the best ``k`` is known. These
few are scored by `scoring`, each by itself. So the result is the same, to the last bit and in all
ties, as if every row were scored so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import scoring
from vectorize_core.errors import StorageError
from vectorize_core.local import workers
from vectorize_core.local.norms import Norms
from vectorize_core.local.quantized_codes import QuantizedCodes
from vectorize_core.local.value_store import Matrix, Rows, Slots
from vectorize_core.models import Metric, Values

Mask = NDArray[np.bool_]
Keys = NDArray[np.float32]

_BLOCK: Final = 400_000
"""Numbers in a block. From 460,800 on OpenBLAS would use threads of its own."""
_BLOCKS_PER_CHUNK: Final = 4
"""Blocks that a thread takes at once."""
_SHARED_ROWS: Final = 4_096
_KEYS_AT_ONCE: Final = 1 << 24
"""Keys that are kept at once if there are many queries."""
_GATHERED_BLOCK: Final = 100_000
"""Numbers in a block of gathered rows, so that it fits into a processor's second cache."""
_GATHER_BELOW: Final = 0.3
"""If a smaller fraction of rows passes the mask, gathering them is faster than scoring all."""
_RESCORED: Final = 4_096
_MOST_OTHERS: Final = 20
_ROUNDING: Final = 2.0**-24
_PRECISE_LENGTHS: Final = (1e-15, 1e15)
"""The lengths whose squares and products float32 computes with full precision."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows and their scores, best first; rows of equal scores in their order or its reverse."""

    slots: Slots
    scores: NDArray[np.float32]
    others: Slots
    """Rows that were so near that they were scored by themselves too, the nearest of them. Codes
    give so many that these are left out."""


def nearest(
    metric: Metric,
    matrix: Matrix,
    norms: Norms,
    query: Values,
    k: int,
    mask: Mask | None = None,
    *,
    newest_first: bool = False,
    with_ties: bool = False,
    codes: QuantizedCodes | None = None,
) -> Found:
    """The best ``k`` rows that pass ``mask``; ``with_ties`` adds all that tie with the last one.

    With ``codes``, only among the candidates that they give, if they give any.
    """
    candidates = None
    if codes is not None:
        candidates = codes.candidates(matrix, norms, query, k, mask)
    if candidates is None:
        candidates = _candidates(metric, matrix, norms, query, k, mask)
        codes = None
    found = _decided(
        metric, matrix, k, query, candidates, newest_first=newest_first, with_ties=with_ties
    )
    return found if codes is None else replace(found, others=found.others[:0])


def nearest_to_each(
    metric: Metric,
    matrix: Matrix,
    norms: Norms,
    queries: Rows,
    k: int,
    mask: Mask | None = None,
    *,
    newest_first: bool = False,
    with_ties: bool = False,
) -> list[Found]:
    """`nearest` for many queries, which share each block while it is in the processor's cache."""
    found: list[Found] = []
    decide = partial(_decided, metric, matrix, k, newest_first=newest_first, with_ties=with_ties)
    together = max(1, _KEYS_AT_ONCE // max(1, matrix.count))
    for start in range(0, len(queries), together):
        some = queries[start : start + together]
        found += map(decide, some, _candidates_of_each(metric, matrix, norms, some, k, mask))
    return found


def _decided(
    metric: Metric,
    matrix: Matrix,
    k: int,
    query: Values,
    candidates: Slots,
    *,
    newest_first: bool,
    with_ties: bool,
) -> Found:
    """The best ``k`` of the candidates, each scored by itself."""
    scores = np.empty(len(candidates), np.float32)
    for start in range(0, len(candidates), _RESCORED):
        part = slice(start, start + _RESCORED)
        rows = matrix.take(candidates[part])
        if not np.isfinite(rows).all():
            # Such rows are always candidates, because their keys are NaN too.
            raise StorageError(
                "values that are no numbers were read: a file of values is damaged. Restore it, or "
                "see what can be saved: vectorize-stores check --path DIR"
            )
        scores[part] = scoring.scores(metric, rows, query)
    best = scoring.top(metric, scores, len(scores), newest_first=newest_first)
    if with_ties and k < len(best):
        # They are in order, so the ties with the k-th follow it.
        k += int(np.count_nonzero(scores[best[k:]] == scores[best[k - 1]]))
    return Found(candidates[best[:k]], scores[best[:k]], candidates[best[k : k + _MOST_OTHERS]])


def _candidates(
    metric: Metric, matrix: Matrix, norms: Norms, query: Values, k: int, mask: Mask | None
) -> Slots:
    """All rows that can be among the best ``k``, with ties, in ascending order."""
    count = matrix.count if mask is None else int(np.count_nonzero(mask))
    rows = None
    if mask is not None and count < _GATHER_BELOW * matrix.count:
        rows, mask = np.flatnonzero(mask), None
    length = float(np.linalg.norm(query.astype(np.float64)))
    if count <= k or not _PRECISE_LENGTHS[0] <= length <= _PRECISE_LENGTHS[1]:
        return _chosen(matrix, rows, mask)
    # The query's length does not change the order, but for distances.
    asked = query if metric == "euclidean" else (query / length).astype(np.float32)
    keys, tops = _score(_Keys(metric, matrix, norms, asked), rows, mask)
    picked = _best(keys, tops, k, _ErrorBound(metric, matrix, norms, length), rows)
    if mask is not None:
        picked = picked[mask[picked]]
    return picked if rows is None else rows[picked]


def _candidates_of_each(
    metric: Metric, matrix: Matrix, norms: Norms, queries: Rows, k: int, mask: Mask | None
) -> list[Slots]:
    """`_candidates` of many queries, by one matrix product a block."""
    count = matrix.count if mask is None else int(np.count_nonzero(mask))
    lengths = [float(np.linalg.norm(query.astype(np.float64))) for query in queries]
    precise = all(_PRECISE_LENGTHS[0] <= length <= _PRECISE_LENGTHS[1] for length in lengths)
    if count < max(k + 1, _GATHER_BELOW * matrix.count) or len(queries) == 1 or not precise:
        return [_candidates(metric, matrix, norms, query, k, mask) for query in queries]
    asked = queries / (1.0 if metric == "euclidean" else np.array(lengths)[:, np.newaxis])
    ranking = _Keys(metric, matrix, norms, asked.astype(np.float32))
    height = _even(matrix.height, _SHARED_ROWS)
    keys = np.empty((len(queries), matrix.count), np.float32)
    tops = np.empty((len(queries), -(-matrix.count // height)), np.float32)
    with np.errstate(all="ignore"):
        for number, (start, block) in enumerate(matrix.blocks(height)):
            part = slice(start, start + len(block))
            some = keys[:, part]
            ranking.multiply(block, some)
            ranking.finish(part, some)
            if mask is not None:
                np.copyto(some, -np.inf, where=~mask[part])
            some.max(axis=1, out=tops[:, number])
    chosen = []
    for length, own, best in zip(lengths, keys, tops, strict=True):
        picked = _best(own, (height, best), k, _ErrorBound(metric, matrix, norms, length), None)
        chosen.append(picked if mask is None else picked[mask[picked]])
    return chosen


def _chosen(matrix: Matrix, rows: Slots | None, mask: Mask | None) -> Slots:
    if rows is not None:
        return rows
    return np.arange(matrix.count) if mask is None else np.flatnonzero(mask)


class _Keys:
    """The keys that rank rows: greater is better, NaN if float32 is not precise enough."""

    def __init__(self, metric: Metric, matrix: Matrix, norms: Norms, asked: Rows) -> None:
        self.matrix = matrix
        self._metric = metric
        self._lengths, _, self._odd = norms.of(matrix)
        self._asked = asked

    def multiply(self, block: Rows, out: Keys) -> None:
        """The products of a block's rows with the query; with many queries one row for each."""
        if self._asked.ndim == 1:
            np.dot(block, self._asked, out=out)
        else:
            np.matmul(self._asked, block.T, out=out)

    def finish(self, rows: slice | Slots, out: Keys) -> None:
        """Turn the products of these rows into keys."""
        lengths = self._lengths[rows]
        if self._metric == "cosine":
            # These are the inverse norms.
            out *= lengths
        elif self._metric == "euclidean":
            out += out
            out -= lengths * lengths
        elif self._odd:
            np.copyto(out, np.nan, where=np.isnan(lengths))


class _ErrorBound:
    """How far keys can be off, including scores that differ but round to the same float32."""

    def __init__(self, metric: Metric, matrix: Matrix, norms: Norms, length: float) -> None:
        self._lengths, self._longest, _ = norms.of(matrix)
        # d roundings of the product, d of the norm, and a few of the query and of the score.
        share = (2 * matrix.dimensions + 32) * _ROUNDING
        self._steps = {
            "cosine": (share, 0.0, 0.0),
            "dot-product": (0.0, share, 0.0),
            "euclidean": (8 * _ROUNDING * length**2, 2 * share * length, 2 * share),
        }[metric]

    def greatest(self) -> float:
        """The greatest bound of any row."""
        constant, linear, square = self._steps
        return constant + (linear + square * self._longest) * self._longest

    def of(self, rows: Slots) -> NDArray[np.float64]:
        """The bounds of some rows, NaN if the key is."""
        constant, linear, square = self._steps
        lengths = self._lengths[rows].astype(np.float64)
        return constant + (linear + square * lengths) * lengths


def _score(
    ranking: _Keys, rows: Slots | None, mask: Mask | None
) -> tuple[Keys, tuple[int, NDArray[np.float32]]]:
    """The keys of all rows, or of ``rows``; the height of a block, and the best key of each."""
    matrix = ranking.matrix
    height = max(1, (_BLOCK if rows is None else _GATHERED_BLOCK) // matrix.dimensions)
    size = matrix.count if rows is None else len(rows)
    keys = np.empty(size, np.float32)
    work: Callable[[int], None]
    if rows is None:
        # A segment must be a whole number of blocks.
        height = _even(matrix.height, height)
        # Between blocks a thread waits for the interpreter's lock, so it takes several at once.
        chunks = list(matrix.blocks(_BLOCKS_PER_CHUNK * height))
        count = len(chunks)

        def work(number: int) -> None:
            start, chunk = chunks[number]
            part = slice(start, start + len(chunk))
            own = keys[part]
            with np.errstate(all="ignore"):
                for first in range(0, len(own), height):
                    ranking.multiply(chunk[first : first + height], own[first : first + height])
                ranking.finish(part, own)
                if mask is not None:
                    np.copyto(own, -np.inf, where=~mask[part])
                starts = np.arange(0, len(own), height)
                block = start // height
                np.maximum.reduceat(own, starts, out=tops[block : block + len(starts)])
    else:
        count = -(-size // height)
        chosen = rows

        def work(number: int) -> None:
            part = slice(number * height, (number + 1) * height)
            some = chosen[part]
            with np.errstate(all="ignore"):
                ranking.multiply(matrix.take(some), keys[part])
                ranking.finish(some, keys[part])
                tops[number] = np.max(keys[part])

    tops = np.empty(-(-size // height), np.float32)
    numbers = size * matrix.dimensions
    workers.share(count, work, worthwhile=numbers > workers.WORTHWHILE * _BLOCK)
    return keys, (height, tops)


def _even(whole: int, most: int) -> int:
    """``whole`` halved until it is at most ``most``, as long as it is even."""
    height = whole
    while height > most and height % 2 == 0:
        height //= 2
    return height


def _best(
    keys: Keys,
    blocks: tuple[int, NDArray[np.float32]],
    k: int,
    bound: _ErrorBound,
    rows: Slots | None,
) -> Slots:
    """Positions of all ``keys`` that can be among the best ``k``, in ascending order."""
    height, tops = blocks
    most = 2 * bound.greatest()
    picked: Slots | None = None
    if k < len(tops):
        # The k-th best of the blocks' best keys is at most the k-th best of all.
        least = _kth(tops, k) - most
        good = np.flatnonzero(~(tops < least))
        if 2 * len(good) < len(tops):
            picked = (good[:, np.newaxis] * height + np.arange(height)).ravel()
            picked = picked[: np.searchsorted(picked, len(keys))]
    some = keys if picked is None else keys[picked]
    near = np.flatnonzero(~(some < _kth(some, k) - most))
    picked = near if picked is None else picked[near]
    if len(picked) > 2 * k:
        # Each with its own bound: a few long vectors must not make all others candidates.
        own = bound.of(picked if rows is None else rows[picked])
        some64 = keys[picked].astype(np.float64)
        picked = picked[~(some64 + own < _kth(some64 - own, k))]
    return picked


def _kth(keys: NDArray[np.floating[Any]], k: int) -> float:
    """The ``k``-th greatest key; NaN counts as the least."""
    if np.isnan(keys).any():
        keys = np.where(np.isnan(keys), -np.inf, keys)
    return float(np.partition(keys, len(keys) - k)[len(keys) - k])
