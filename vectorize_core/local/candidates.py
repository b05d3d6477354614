"""The rows that can be among the best, by a `Ranking` of all rows or of some."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import workers
from vectorize_core.local.matrix import Slots
from vectorize_core.local.ranking import GROUP, Keys, Ranking

Mask = NDArray[np.bool_]

_BLOCKS_EACH: Final = 4
"""At least, for each thread, so that they end at about the same time."""
_LEAST_READ: Final = 1_000_000
"""Bytes of a block; of fewer, what each block costs beside them would count."""
_SAMPLED_FROM: Final = 20_000
"""Rows; of fewer, a pass over all takes little longer than a sample."""
_PIECE: Final = 64
"""Rows of each piece of a sample."""
_PIECES: Final = 8
"""Of a sample, if all rows may be found."""
_SAMPLED_BEST: Final = 10
"""Of a sample, so many stand for the best ``k``: it is a small part of the rows."""
_SEEMING: Final = 4
"""Times ``k``, so many rows that seem good by their first parts say what the best come to."""
_SEEMING_OF: Final = 16
"""Of fewer groups or rows, times ``k``, all is read at once."""
_REST_OF: Final = 0.15
"""If the first parts leave more of the rows, the rest of all is read: one after the other is read
sooner than some here and there."""
_TOO_MANY: Final = 0.25
"""If so many of the sample are candidates, as where all rows are alike, keys tell too little."""


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Rows that can be among the best ``k``, in ascending order, and their keys."""

    rows: Slots
    keys: Keys
    uppers: NDArray[np.float64]
    """The most that each key can be."""
    least: float
    """What the best ``k`` come to at least."""


def are_few(ranking: Ranking, k: int, mask: Mask | None = None) -> bool:
    """Whether a sample of the rows has so few candidates that a pass over all will help.

    Of the rows that pass ``mask``: they may be all alike where others are not.
    """
    matrix = ranking.matrix
    if matrix.count < _SAMPLED_FROM:
        return True
    pieces, k = _PIECES, min(k, _SAMPLED_BEST)
    if mask is not None:
        pieces = pieces * len(mask) // max(1, int(np.count_nonzero(mask)))
    starts = np.linspace(0, matrix.count - _PIECE, pieces).astype(np.int64)
    sample = (starts[:, np.newaxis] + np.arange(_PIECE)).ravel()
    keys = np.full(len(sample), np.nan, np.float32)
    with np.errstate(all="ignore"):
        for number, start in enumerate(starts.tolist()):
            # Less at the end of a segment; the rest counts as candidates.
            first, block = next(matrix.blocks(_PIECE, start))
            own = keys[number * _PIECE :][: len(block)]
            ranking.score(block, slice(first, first + len(block)), own)
    if mask is not None:
        passing = mask[sample]
        keys, sample = keys[passing], sample[passing]
    few = len(_near(ranking, sample, keys, k).rows) < _TOO_MANY * len(sample)
    return few or k > _TOO_MANY * len(sample)


def among_all(ranking: Ranking, k: int, mask: Mask | None = None) -> Near:
    """The rows, of those that pass ``mask``, that can be among the best ``k``, with ties."""
    count = ranking.matrix.count
    groups = -(-count // GROUP)
    keys, tops = np.empty(groups * GROUP, np.float32), np.empty(groups, np.float32)
    keys[count:] = -np.inf
    parts, rows = ranking.parts(), None
    _pass(ranking if parts is None else parts.first, keys, tops, mask)
    if parts is not None and groups >= _SEEMING_OF * k and parts.attempts.is_due(k):
        rows = _completed(parts.first, parts.rest, keys, tops, k)
        parts.attempts.note(k, helped=rows is not None)
    elif parts is not None:
        _pass(parts.rest, keys, tops)
    if rows is None:
        rows = _in_good_groups(ranking, keys, tops, k)
    if mask is not None:
        rows = rows[mask[rows]]
    return _near(ranking, rows, keys[rows], k)


def among(ranking: Ranking, k: int, rows: Slots) -> Near:
    """Those of ``rows``, in ascending order, that can be among their best ``k``, with ties."""
    keys = np.empty(len(rows), np.float32)
    parts = ranking.parts()
    if parts is None or len(rows) < _SEEMING_OF * k:
        _score(ranking, rows, keys)
    else:
        _score(parts.first, rows, keys)
        # NaN comes last.
        seeming = np.sort(np.argpartition(-keys, _SEEMING * k)[: _SEEMING * k])
        least = _least(parts.rest, rows[seeming], keys[seeming], k)
        left = (~(keys + parts.first.errors(rows) < least)).nonzero()[0]
        rows, keys = rows[left], keys[left]
        _score(parts.rest, rows, keys)
    return _near(ranking, rows, keys, k)


def narrowed(near: Near, ranking: Ranking, finer: Ranking, k: int) -> Slots:
    """Those of ``near``, by ``ranking``, that can be among the best ``k``.

    What the ``k`` that seem to be the best come to by a ``finer`` ranking leaves out most others.
    All are left if the finer ranking reads so few at once.
    """
    if len(near.rows) <= max(2 * k, finer.gathered_at_once):
        return near.rows
    # NaN comes last.
    seeming = np.sort(near.rows[np.argpartition(-near.keys, k)[:k]])
    least = among(finer, k, seeming).least * finer.unit
    return near.rows[~(near.uppers * ranking.unit < least)]


def good_groups(
    tops: Keys, errors: NDArray[np.float64], k: int, least: float = -math.inf
) -> tuple[NDArray[np.int64], float]:
    """The groups that can hold one of the best ``k``, by the best key of each and its error.

    Also what the best ``k`` come to at least, if more than ``least`` is known of that.
    """
    # The k-th best of the groups' best keys is at most the k-th best of all.
    least = max(least, _nearly_kth(tops - errors, k))
    return (~(tops + errors < least)).nonzero()[0], least


def rows_of(groups: NDArray[np.int64], size: int, count: int) -> Slots:
    """The rows of groups of ``size``, of ``count`` rows in all."""
    rows = (groups[:, np.newaxis] * size + np.arange(size)).ravel()
    return rows[: np.searchsorted(rows, count)]


def _pass(ranking: Ranking, keys: Keys, tops: Keys, mask: Mask | None = None) -> None:
    """Score all rows; the keys of those that do not pass ``mask`` are the least.

    ``tops`` are the best keys of groups.
    """
    count = ranking.matrix.count
    is_shared = _is_worthwhile(ranking, count)
    height = ranking.rows_at_once
    if is_shared:
        least = _LEAST_READ // ranking.matrix.row.itemsize
        height = min(height, max(count // (_BLOCKS_EACH * workers.processors()), least))
    blocks = list(ranking.matrix.blocks(max(GROUP, height // GROUP * GROUP)))

    def score(number: int) -> tuple[Keys, Keys]:
        start, block = blocks[number]
        part = slice(start, start + len(block))
        own = keys[part].copy()
        with np.errstate(all="ignore"):
            ranking.score(block, part, own)
            if mask is not None:
                np.copyto(own, -np.inf, where=~mask[part])
            return own, np.maximum.reduceat(own, np.arange(0, len(own), GROUP))

    def keep(number: int, scored: tuple[Keys, Keys]) -> None:
        (start, _), (own, best) = blocks[number], scored
        keys[start : start + len(own)] = own
        tops[start // GROUP :][: len(best)] = best

    workers.collect(len(blocks), score, keep, worthwhile=is_shared)


def _score(ranking: Ranking, rows: Slots, keys: Keys) -> None:
    """Score ``rows``, in ascending order, into their ``keys``."""
    height = ranking.gathered_at_once

    def score(number: int) -> Keys:
        part = slice(number * height, (number + 1) * height)
        own = keys[part].copy()
        with np.errstate(all="ignore"):
            ranking.score(ranking.matrix.take(rows[part]), rows[part], own)
        return own

    def keep(number: int, own: Keys) -> None:
        keys[number * height :][: len(own)] = own

    number = -(-len(rows) // height)
    workers.collect(number, score, keep, worthwhile=_is_worthwhile(ranking, len(rows)))


def _is_worthwhile(ranking: Ranking, count: int) -> bool:
    return count * ranking.matrix.row.itemsize > workers.WORTHWHILE


def _completed(first: Ranking, rest: Ranking, keys: Keys, tops: Keys, k: int) -> Slots | None:
    """Add what the rest says to the keys of the rows that can be among the best ``k``.

    These are returned; None if they are so many that it is added to the keys of all.
    """
    # The best row of each of the best groups; NaN comes last.
    groups = np.sort(np.argpartition(-tops, _SEEMING * k)[: _SEEMING * k])
    seeming = groups * GROUP + keys.reshape(-1, GROUP)[groups].argmax(axis=1)
    least = _least(rest, seeming, keys[seeming], k)
    rows = _in_good_groups(first, keys, tops, k, least)
    if len(rows) > _REST_OF * first.matrix.count:
        _pass(rest, keys, tops)
        return None
    some = keys[rows]
    _score(rest, rows, some)
    keys[rows] = some
    return rows


def _least(rest: Ranking, rows: Slots, keys: Keys, k: int) -> float:
    """What the best ``k`` come to, by some rows, to whose keys the rest is added."""
    _score(rest, rows, keys)
    return _kth(keys - rest.errors(rows), k)


def _in_good_groups(
    ranking: Ranking, keys: Keys, tops: Keys, k: int, least: float = -math.inf
) -> Slots:
    """The rows whose keys can be among the best ``k``, which come to ``least`` or more."""
    count = ranking.matrix.count
    if k >= len(tops):
        return np.arange(count)
    errors = ranking.group_errors()
    groups, least = good_groups(tops, errors, k, least)
    own = errors if len(errors) == 1 else errors[groups]
    uppers = keys.reshape(-1, GROUP)[groups] + own[:, np.newaxis]
    # In one dimension, which NumPy searches twice as fast as two.
    places = (~(uppers < least)).ravel().nonzero()[0]
    near = places // GROUP
    rows: Slots = (groups[near] - near) * GROUP + places
    return rows[: rows.searchsorted(count)]


def _near(ranking: Ranking, rows: Slots, keys: Keys, k: int) -> Near:
    """Those of ``rows``, which have these ``keys``, that can be among the best ``k`` of them."""
    errors = ranking.errors(rows)
    least, uppers = _kth(keys - errors, k), keys + errors
    kept = (~(uppers < least)).nonzero()[0]
    return Near(rows[kept], keys[kept], uppers[kept], least)


def _nearly_kth(keys: NDArray[np.floating[Any]], k: int) -> float:
    """The ``k``-th greatest key, or a little less; of many keys it is found ten times sooner.

    It is that of keys each of which is the greatest of some, which lie far apart: so of keys that
    are near to each other, and often alike, none is lost.
    """
    width = _SEEMING_OF * k
    whole = len(keys) // width * width
    if whole <= width:
        return _kth(keys, k)
    greatest = np.fmax.reduce(keys[:whole].reshape(-1, width))
    left = keys[whole:]
    np.fmax(greatest[: len(left)], left, out=greatest[: len(left)])
    return _kth(greatest, k)


def _kth(keys: NDArray[np.floating[Any]], k: int) -> float:
    """The ``k``-th greatest key; NaN counts as the least, and so do those that are not there."""
    if k > len(keys):
        return -np.inf
    # NaN comes last.
    kth = -float(np.partition(-keys, k - 1)[k - 1])
    return -np.inf if math.isnan(kth) else kth
