"""The search of one float32 pass finds what scoring every row by itself finds, to the last bit."""

import logging
import sys
import threading
import time
from contextlib import nullcontext
from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.local.coded import (
    always_by_codes,
    codes_of,
    cut_rows,
    norms_of,
    small_is_large,
    store_of,
)
from tests.nightly import examples
from vectorize_core import scoring
from vectorize_core.local import StorageError, candidates, exact_search, workers
from vectorize_core.local.attempts import Attempts
from vectorize_core.local.code_batch_ranking import CodeBatchRanking
from vectorize_core.local.code_products import packing
from vectorize_core.local.code_ranking import CodeRanking
from vectorize_core.local.float_ranking import FloatRanking
from vectorize_core.local.value_store import FileValueStore, MemoryValueStore
from vectorize_core.models import METRICS


def both(metric, rows, query, k, mask=None, height=None, **more):
    """The same is found with codes, whole or cut, and without them."""
    expected, scores = scoring.nearest(metric, rows, query, k, mask, **more)
    for cutting in (None, nullcontext, cut_rows):
        with (cutting or nullcontext)():
            found = exact_search.nearest(
                metric,
                store_of(rows, height),
                norms_of(metric, rows.shape[1]),
                codes_of(metric, rows, height) if cutting else None,
                query,
                k,
                mask,
                **more,
            )
        assert found.slots.tolist() == expected.tolist()
        assert found.scores.tolist() == scores.tolist()
    return found


def together(*given, **more):
    """What many queries at once find, in their order."""
    found = dict(exact_search.nearest_to_each(*given, **more))
    return [found[number] for number in range(len(found))]


SIZES = st.sampled_from([0.0, 1e-44, 1e-30, 1e-16, 1e-10, 1.0, 1.0, 1.0, 1e6, 1e16, 1e30, 3e38])


@st.composite
def problems(draw):
    dimensions = draw(st.sampled_from([1, 3, 32]))
    count = draw(st.integers(0, 120))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = random.standard_normal((count, dimensions)).clip(-1, 1).astype(np.float32)
    if draw(st.booleans()) and count:
        rows = rows[random.integers(0, max(1, count // 5), count)]
    if draw(st.booleans()):
        sizes = np.array([draw(SIZES) for _ in range(5)])
        rows = (rows * sizes[random.integers(0, 5, count)][:, None]).astype(np.float32)
    query = (random.standard_normal(dimensions).clip(-1, 1) * draw(SIZES)).astype(np.float32)
    mask = None
    if draw(st.booleans()):
        mask = random.random(count) < draw(st.sampled_from([0.0, 0.05, 0.28, 0.5, 1.0]))
    return rows, query, draw(st.integers(1, 130)), mask


@pytest.mark.parametrize("metric", METRICS)
@given(problem=problems(), newest_first=st.booleans(), height=st.sampled_from([8, 64]))
@examples(80)
def test_the_best_are_those_of_scoring_every_row(metric, problem, newest_first, height):
    rows, query, k, mask = problem
    with small_is_large():
        both(metric, rows, query, k, mask, height, newest_first=newest_first)


@pytest.mark.parametrize("by", ["values", "codes", "cut codes"])
@pytest.mark.parametrize("metric", METRICS)
@given(problem=problems(), newest_first=st.booleans())
@examples(20)
def test_many_queries_at_once_find_what_each_finds(metric, by, problem, newest_first):
    rows, query, k, mask = problem
    some = np.random.default_rng(1).standard_normal((7, len(query))).astype(np.float32)
    queries = np.vstack([query[np.newaxis], some])
    with small_is_large() as patch, cut_rows() if by == "cut codes" else nullcontext():
        if by == "values":
            patch.setattr(exact_search, "packing", lambda: None)
        for asked in (queries, some):
            found = together(
                metric,
                store_of(rows, 8),
                norms_of(metric, rows.shape[1]),
                codes_of(metric, rows, 8),
                asked,
                k,
                mask,
                newest_first=newest_first,
            )
            for each, one in zip(asked, found, strict=True):
                expected, scores = scoring.nearest(
                    metric, rows, each, k, mask, newest_first=newest_first
                )
                assert one.slots.tolist() == expected.tolist()
                assert one.scores.tolist() == scores.tolist()


@pytest.mark.parametrize("cutting", [nullcontext, cut_rows])
@pytest.mark.parametrize("metric", METRICS)
def test_keys_for_many_queries_are_those_for_each(metric, cutting):
    random = np.random.default_rng(8)
    rows = random.standard_normal((500, 96)).astype(np.float32)
    rows[100:200] *= np.float32(1e-12)
    rows[7] = 0
    queries = random.standard_normal((5, 96))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    pack = packing()
    assert pack is not None, "numkong belongs to what the tests need"
    with cutting():
        coded = codes_of(metric, rows, 128).of(store_of(rows, 128), norms_of(metric, 96))
        batch = CodeBatchRanking(metric, coded, queries, pack)
        keys = np.empty((500, 5), np.float32)
        for span in batch.matrix.spans(64):
            batch.score(batch.matrix.block(span), span, keys[span])
        for number, ranking in enumerate(batch.rankings):
            alone = candidates.among(ranking, 500, np.arange(500))
            assert alone.keys.tolist() == keys[:, number].tolist()


@pytest.mark.parametrize("by", ["values", "codes"])
def test_only_queries_that_many_rows_are_near_to_are_searched_for_alone(by, monkeypatch):
    random = np.random.default_rng(10)
    centres = random.standard_normal((600, 64)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rows = np.tile(centres, (10, 1))
    rows += random.standard_normal(rows.shape).astype(np.float32) * np.float32(0.02)
    # All are as near to one query, and nearer to no other.
    rows[:, 63] = 0
    rows[:, 63] = np.linalg.norm(rows, axis=1) / 2
    few, many = rows[:20], np.eye(64, dtype=np.float32)[63:]
    monkeypatch.setattr(exact_search, "_CODED_FROM", 1)
    if by == "values":
        monkeypatch.setattr(exact_search, "packing", lambda: None)
    alone, candidates_of = [], exact_search._candidates

    def counted(*given):
        alone.append(given[4].tolist())
        return candidates_of(*given)

    monkeypatch.setattr(exact_search, "_candidates", counted)
    queries = np.vstack([few[:7], many, few[7:], few[:1] * np.float32(1e-20)])
    codes = codes_of("cosine", rows)
    found = together("cosine", store_of(rows), norms_of("cosine", 64), codes, queries, 5)
    for query, one in zip(queries, found, strict=True):
        expected, scores = scoring.nearest("cosine", rows, query, 5)
        assert (one.slots.tolist(), one.scores.tolist()) == (expected.tolist(), scores.tolist())
    assert sorted(alone) == sorted([many[0].tolist(), queries[-1].tolist()])


@pytest.mark.parametrize("how", ["missing", "failing", "wrong", "empty"])
def test_without_numkong_many_queries_at_once_read_the_values(how, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("no such instruction")

    def wrong(rows, _):
        return np.full((len(rows), 5), 3, np.uint32)

    monkeypatch.setitem(
        sys.modules,
        "numkong",
        {
            "missing": None,
            "failing": SimpleNamespace(dots_pack=fail),
            "wrong": SimpleNamespace(dots_pack=lambda rows, **_: rows, dots_packed=wrong),
            "empty": SimpleNamespace(),
        }[how],
    )
    packing.cache_clear()
    monkeypatch.setattr(CodeBatchRanking, "score", fail)
    caplog.set_level(logging.DEBUG)
    rows = np.random.default_rng(9).standard_normal((300, 32)).astype(np.float32)
    try:
        with small_is_large():
            found = together(
                "cosine",
                store_of(rows),
                norms_of("cosine", 32),
                codes_of("cosine", rows),
                rows[:3],
                5,
            )
    finally:
        packing.cache_clear()
    for query, one in zip(rows, found, strict=False):
        assert one.slots.tolist() == scoring.nearest("cosine", rows, query, 5)[0].tolist()
    (line,) = [record for record in caplog.records if "numkong" in record.getMessage()]
    assert line.levelno == (logging.DEBUG if how == "missing" else logging.WARNING)


@pytest.mark.parametrize("metric", METRICS)
def test_masked_rows_stay_out_where_float32_can_rank_too_few(metric):
    random = np.random.default_rng(5)
    rows = random.standard_normal((64, 8)).astype(np.float32)
    rows[4:] *= np.float32(1e30)
    mask = np.arange(64) % 3 > 0
    queries = random.standard_normal((3, 8)).astype(np.float32)
    many = together(metric, store_of(rows), norms_of(metric, 8), None, queries, 10, mask)
    for query, one in zip(queries, many, strict=True):
        assert both(metric, rows, query, 10, mask).slots.tolist() == one.slots.tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_near_ties_beyond_float32_are_decided_as_float64_does(metric):
    random = np.random.default_rng(1)
    base = random.standard_normal(768).astype(np.float32)
    rows = base + random.standard_normal((3_000, 768)).astype(np.float32) * np.float32(1e-6)
    both(metric, rows, base, 10)
    both(metric, rows, random.standard_normal(768).astype(np.float32), 10)


@pytest.mark.parametrize("metric", METRICS)
def test_large_matrices_are_shared_between_threads(metric):
    random = np.random.default_rng(2)
    rows = random.standard_normal((40_000, 128)).astype(np.float32)
    query = random.standard_normal(128).astype(np.float32)
    for mask in (None, random.random(40_000) < 0.5, random.random(40_000) < 0.1):
        both(metric, rows, query, 100, mask)


@pytest.mark.parametrize("metric", METRICS)
def test_threads_that_are_late_change_nothing(metric, monkeypatch):
    random, collect, delays = np.random.default_rng(2), workers.collect, []
    seconds = cycle([0.0, 1e-4, 2e-3])

    def delayed(count, compute, keep, *, worthwhile):
        def late(number):
            if threading.current_thread() is threading.main_thread():
                # Others take part, also where much else runs.
                ended = time.monotonic() + 10
                while len(set(delays)) < 3 and time.monotonic() < ended:
                    time.sleep(1e-3)
                return compute(number)
            delays.append(delay := next(seconds))
            time.sleep(delay)
            result = compute(number)
            time.sleep(delay)
            return result

        collect(count, late, keep, worthwhile=worthwhile)

    monkeypatch.setattr(workers, "collect", delayed)
    monkeypatch.setattr(workers, "processors", lambda: 3)
    monkeypatch.setattr(workers, "WORTHWHILE", 100_000)
    monkeypatch.setattr(candidates, "_LEAST_READ", 10_000)
    rows = random.standard_normal((10_000, 64)).astype(np.float32)
    query = random.standard_normal(64).astype(np.float32)
    for mask in (None, random.random(10_000) < 0.5, random.random(10_000) < 0.2):
        both(metric, rows, query, 50, mask)
    assert len(set(delays)) == 3


@pytest.mark.parametrize("metric", METRICS)
def test_few_rows_are_scored_in_float64(metric, monkeypatch):
    scored = []
    original = scoring.scores
    monkeypatch.setattr(exact_search, "_FEW", 60)
    monkeypatch.setattr(
        scoring,
        "scores",
        lambda metric, rows, query: (scored.append(len(rows)), original(metric, rows, query))[1],
    )
    random = np.random.default_rng(3)
    rows = random.standard_normal((20_000, 64)).astype(np.float32)
    # One that is far longer than all others makes none of them doubtful.
    rows[7] *= 1e7
    query = rows[5] * np.float32(1.1)
    for codes in (None, codes_of(metric, rows)):
        scored.clear()
        exact_search.nearest(metric, store_of(rows), norms_of(metric, 64), codes, query, 10)
        assert 10 <= sum(scored) <= 60


@pytest.mark.parametrize("metric", METRICS)
def test_what_seems_the_best_leaves_out_most_others_and_none_of_the_best(metric):
    random = np.random.default_rng(6)
    rows = random.standard_normal((6_000, 32))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    # These are left to float64.
    rows[::500] *= np.float32(1e20)
    query = random.standard_normal(32)
    query /= np.linalg.norm(query)
    coded = codes_of(metric, rows).of(store_of(rows), norms_of(metric, 32))
    by_codes = CodeRanking(metric, coded, query)
    values = FloatRanking(metric, store_of(rows), norms_of(metric, 32), query.astype("f4"), 1.0)
    values.gathered_at_once = 1
    near = candidates.among_all(by_codes, 5)
    left = candidates.narrowed(near, by_codes, values, 5)
    assert set(candidates.among(values, 5, near.rows).rows) <= set(left) < set(near.rows)
    assert len(left) - 12 < 0.8 * (len(near.rows) - 12)


@pytest.mark.parametrize("metric", METRICS)
def test_codes_that_told_too_little_are_doubted_the_next_time(metric, monkeypatch):
    doubted = []
    monkeypatch.setattr(candidates, "are_few", lambda *_: not doubted.append(1))
    random = np.random.default_rng(7)
    rows = random.standard_normal((3_000, 32)).astype(np.float32)
    alike = rows[:1] + rows * np.float32(1e-6)
    for some, told_few in ((rows, True), (alike, False)):
        codes, query = codes_of(metric, some), some[5] * np.float32(1.1)
        with always_by_codes():
            for _ in range(3):
                found = exact_search.nearest(
                    metric, store_of(some), norms_of(metric, 32), codes, query, 10
                )
                assert found.slots.tolist() == scoring.nearest(metric, some, query, 10)[0].tolist()
                assert codes.told_few == told_few
        assert len(doubted) == (1 if told_few else 3)
        doubted.clear()


def test_ties_with_the_last_are_given_when_wanted():
    rows = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    query = np.array([1, 0.5, 0, 0], np.float32)
    found = exact_search.nearest(
        "cosine", store_of(rows), norms_of("cosine", 4), None, query, 7, with_ties=True
    )
    assert found.slots.tolist() == list(range(10))
    found = exact_search.nearest(
        "cosine", store_of(rows), norms_of("cosine", 4), None, query, 5, with_ties=True
    )
    assert found.slots.tolist() == list(range(5))


def test_values_that_are_no_numbers_are_refused():
    rows = np.ones((50, 4), np.float32)
    rows[20, 1] = np.nan
    with pytest.raises(StorageError, match="damaged"):
        exact_search.nearest("cosine", store_of(rows), norms_of("cosine", 4), None, rows[0], 3)


def test_norms_are_extended_and_never_changed():
    random = np.random.default_rng(4)
    rows = random.standard_normal((300, 8)).astype(np.float32)
    store, norms = MemoryValueStore(8), norms_of("euclidean", 8)
    seen = []
    for start in range(0, 300, 7):
        store.write(start, rows[start : start + 7].tobytes())
        seen.append(norms.of(store.matrix(min(300, start + 7)))[0])
    whole = np.linalg.norm(rows.astype(np.float64), axis=1)
    for lengths in seen:
        np.testing.assert_allclose(lengths, whole[: len(lengths)], rtol=1e-6)
    assert len(norms.of(store.matrix(3))[0]) == 3


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_matrix_stays_as_it_was_while_rows_are_appended(kind, tmp_path):
    store = MemoryValueStore(4) if kind == "memory" else FileValueStore(tmp_path / "rows.f32", 4)
    store.height = 16_384
    rows = np.arange(40_000 * 4, dtype=np.float32).reshape(-1, 4)
    matrices, end = [], 0
    for count in (1, 5, 100, 17_000, 3_000, 19_000):
        store.write(end, rows[end : end + count].tobytes())
        end += count
        matrices.append(store.matrix(end))
    store.remove()
    for matrix in matrices:
        wanted = np.unique(np.linspace(0, matrix.count - 1, 50).astype(np.int64))
        assert (matrix.take(wanted) == rows[wanted]).all()
        assert (np.concatenate([b for _, b in matrix.blocks(999)]) == rows[: matrix.count]).all()
        (first, _), *_ = matrix.blocks(999, matrix.count - 1)
        assert first == matrix.count - 1


def test_what_does_not_help_is_left_out_ever_longer_and_tried_again():
    attempts = Attempts()

    def until_due(k):
        return next(n for n in range(99) if attempts.is_due(k))

    assert until_due(10) == 0
    for left_out in (1, 3, 7, 15, 15):
        attempts.note(10, helped=False)
        # Of about as many results alone: with fewer it may help.
        assert until_due(4) == 0
        assert until_due(9) == left_out
    attempts.note(10, helped=True)
    assert until_due(10) == 0
    attempts.note(10, helped=False)
    assert until_due(10) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_rows_are_read_as_wholes_for_a_while_where_their_first_parts_say_too_little(
    metric, monkeypatch
):
    completed, original = [], candidates._completed
    monkeypatch.setattr(
        candidates, "_completed", lambda *given: (completed.append(1), original(*given))[1]
    )
    rows = np.random.default_rng(6).standard_normal((6_000, 600)).astype(np.float32)
    first, rest = rows.copy(), rows.copy()
    first[:, 448:] *= np.float32(1e-3)
    rest[:, :448] *= np.float32(1e-3)
    for rows, tried in ((first, [1] * 7), (rest, [1, 0, 1, 0, 0, 0, 1])):
        matrix, known = store_of(rows), (norms_of(metric, 600), codes_of(metric, rows))
        for wanted in tried:
            completed.clear()
            exact_search.nearest(metric, matrix, *known, rows[3], 10)
            assert len(completed) == wanted


@given(st.integers(1, 6_000), st.integers(1, 100), st.integers(0, 50), st.integers(0, 2**32 - 1))
@examples(200)
def test_no_group_is_left_out_that_can_hold_one_of_the_best(count, k, unknown, seed):
    random = np.random.default_rng(seed)
    tops, errors = random.standard_normal(count).astype(np.float32), random.random(count) / 100
    tops[random.integers(0, count, min(unknown, count // 2))] = np.nan
    known = np.sort((tops - errors)[~np.isnan(tops)])[::-1]
    kth = known[k - 1] if k <= len(known) else -np.inf
    groups, least = candidates.good_groups(tops, errors, k)
    assert least <= kth
    assert set(groups) >= set(np.flatnonzero(~(tops + errors < kth)))
    # Of so many, it is not much less.
    assert count < 32 * k or least >= known[2 * k]
    assert candidates.good_groups(tops, errors, k, 9.0)[1] == 9.0


def test_work_is_shared_and_its_errors_are_raised():
    done = []
    workers.share(500, done.append, worthwhile=True)
    assert sorted(done) == list(range(500))

    def fail(number):
        if number == 3:
            raise KeyError(number)

    with pytest.raises(KeyError):
        workers.share(500, fail, worthwhile=True)


def test_what_is_collected_is_kept_once_and_errors_are_raised():
    kept = []
    workers.collect(500, str, lambda *both: kept.append(both), worthwhile=True)
    assert sorted(kept) == [(number, str(number)) for number in range(500)]

    def fail(number):
        if number == 3:
            raise KeyError(number)

    with pytest.raises(KeyError):
        workers.collect(500, fail, lambda *_: None, worthwhile=True)
    with pytest.raises(KeyError):
        workers.collect(500, str, lambda number, _: fail(number), worthwhile=True)


@pytest.mark.parametrize("fails", [False, True])
def test_a_thread_that_is_late_is_not_waited_for(monkeypatch, fails):
    monkeypatch.setattr(workers, "processors", lambda: 2)
    may_end, begun, kept = threading.Event(), threading.Event(), {}

    def compute(number):
        if threading.current_thread() is threading.main_thread():
            assert begun.wait(10)
            return "here"
        begun.set()
        assert fails or may_end.wait(10)
        raise MemoryError if fails else KeyError

    workers.collect(8, compute, kept.__setitem__, worthwhile=True)
    assert kept == dict.fromkeys(range(8), "here")
    may_end.set()


@pytest.mark.parametrize("fails", [False, True])
def test_a_thread_that_keeps_what_it_has_computed_is_waited_for(monkeypatch, fails):
    monkeypatch.setattr(workers, "processors", lambda: 2)
    keeping, kept = threading.Event(), {}

    def compute(number):
        here = threading.current_thread() is threading.main_thread()
        assert not here or keeping.wait(10)
        return here

    def keep(number, here):
        if not here:
            keeping.set()
            time.sleep(0.05)
            if fails:
                raise KeyError(number)
        kept[number] = here

    with pytest.raises(KeyError) if fails else nullcontext():
        workers.collect(8, compute, keep, worthwhile=True)
    assert fails or sorted(kept) == list(range(8))


def test_errors_that_were_made_good_are_not_raised_while_another_thread_keeps_something(
    monkeypatch,
):
    monkeypatch.setattr(workers, "processors", lambda: 3)
    keeping, failing, kept, others = threading.Event(), threading.Event(), {}, ["keeps", "fails"]

    def compute(number):
        if threading.current_thread() is threading.main_thread():
            assert keeping.wait(10)
            assert failing.wait(10)
        elif others.pop() == "fails":
            failing.set()
            time.sleep(0.05)
            raise MemoryError
        return number

    def keep(number, result):
        if threading.current_thread() is not threading.main_thread():
            keeping.set()
            time.sleep(0.1)
        kept[number] = result

    workers.collect(3, compute, keep, worthwhile=True)
    assert sorted(kept) == [0, 1, 2]
