"""Matrices with codes, made of few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vectorize_core.local import (
    candidates,
    codes,
    exact_batches,
    exact_search,
    float_ranking,
    index_codes,
    ranking,
    row_types,
)
from vectorize_core.local.code_batch_ranking import CodeBatchRanking
from vectorize_core.local.code_products import products
from vectorize_core.local.float_batch_ranking import FloatBatchRanking
from vectorize_core.local.index_codes import IndexCodes
from vectorize_core.local.matrix import Matrix, Rows
from vectorize_core.local.norms import Norms
from vectorize_core.local.row_types import CODES
from vectorize_core.local.value_store import MemoryValueStore
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.models import Metric


@contextmanager
def always_by_codes() -> Iterator[None]:
    """Any index is searched by its codes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_search, "_CODED_FROM", 1)
        patch.setattr(exact_search, "_FEW", 3)
        yield


@contextmanager
def cut_rows() -> Iterator[None]:
    """Rows of codes are cut in two, of any index with two dimensions or more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_types, "_CUT_FROM", 2)
        patch.setattr(row_types, "_LINE", 1)
        yield


@contextmanager
def small_is_large(group: int = 4) -> Iterator[pytest.MonkeyPatch]:
    """Few rows are many: they are searched by codes, in many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (candidates, exact_batches, index_codes, ranking):
            patch.setattr(module, "GROUP", group)
        patch.setattr(exact_search, "_CODED_FROM", 1)
        patch.setattr(exact_search, "_FEW", 3)
        patch.setattr(candidates, "_SEEMING", 2)
        patch.setattr(candidates, "_SEEMING_OF", 3)
        patch.setattr(exact_batches, "_TOPS_AT_ONCE", 60)
        patch.setattr(exact_batches, "_FEWEST_BY_CODES", 2)
        patch.setattr(exact_batches, "_FEWEST_BY_VALUES", 2)
        patch.setattr(CodeBatchRanking, "rows_at_once", 2 * group)
        patch.setattr(FloatBatchRanking, "rows_at_once", 2 * group)
        patch.setattr(float_ranking, "BLOCK", 4)
        patch.setattr(float_ranking, "_GATHERED_BLOCK", 30)
        patch.setattr(index_codes, "_ROWS_AT_ONCE", 2 * group)
        patch.setattr("vectorize_core.local.code_ranking._SCANNED", 100)
        patch.setattr("vectorize_core.local.code_ranking._GATHERED", 100)
        yield patch


def store_of(rows: Rows, height: int | None = None) -> Matrix:
    """A matrix with segments of ``height`` rows, so that few rows make many segments."""
    store = MemoryValueStore(rows.shape[1])
    if height is not None:
        store.height = height
    store.write(0, rows.astype("<f4").tobytes())
    return store.matrix(len(rows))


def norms_of(metric: Metric, dimensions: int) -> Norms:
    """Norms as a snapshot has them."""
    return Norms(dimensions, inverse=metric == "cosine")


def codes_of(metric: Metric, rows: Rows, height: int | None = None) -> IndexCodes:
    """The codes of rows."""
    multiplied = products()
    assert multiplied is not None
    store = ValueStores(None).store(1, 0, rows.shape[1], CODES)
    if height is not None:
        store.height = height
    store.write(0, codes.encoded(rows, 0, 0, multiplied).tobytes())
    return IndexCodes(metric, store)
