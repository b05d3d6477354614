from __future__ import annotations

import logging
from contextlib import nullcontext

import pytest

from tests.core.local.coded import cut_rows, small_is_large
from tests.nightly import sized
from vectorize_core.local import code_products
from vectorize_core.sqlite import read_only


@pytest.fixture(autouse=True, params=sized(["whole"], ["whole", "cut"]))
def few_are_many(request, caplog):
    """By day most of it with rows that are not cut; those that are differ in their files alone."""
    caplog.set_level(logging.INFO)
    code_products.products.cache_clear()
    with small_is_large(), cut_rows() if request.param == "cut" else nullcontext():
        yield
    code_products.products.cache_clear()


@pytest.fixture
def read_only_directory(monkeypatch):
    return lambda: monkeypatch.setattr(read_only, "is_read_only", lambda path: True)
