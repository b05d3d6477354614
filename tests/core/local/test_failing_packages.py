"""simsimd and numkong as they may fail once they are in use: searches and writes go on without."""

from __future__ import annotations

import importlib
import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from types import ModuleType

import numpy as np
import pytest

from tests.core.local.coded import always_by_codes, cut_rows
from tests.nightly import sized
from vectorize_core import scoring
from vectorize_core.local import Service
from vectorize_core.local.code_products import packing, products
from vectorize_core.models import IndexConfig, Vector

pytest.importorskip("simsimd")
pytest.importorskip("numkong")
DIMENSIONS, K = 32, 5
FUNCTIONS = [("simsimd", "cdist"), ("numkong", "dots_pack"), ("numkong", "dots_packed")]
ROWS = np.random.default_rng(3).standard_normal((150, DIMENSIONS)).astype(np.float32)


@pytest.fixture
def failing(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str, str, Callable[[], bool]], None]]:
    """Has a function of a package call another one first, and raise an error if that is true."""

    def build(package: str, function: str, fails: Callable[[], bool]) -> None:
        real = importlib.import_module(package)
        own = ModuleType(package)
        own.__dict__.update(vars(real), called=getattr(real, function), fails=fails)
        own.__name__ = package
        # So that it raises within the package.
        exec(IN_PACKAGE.format(function), own.__dict__)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, own)
            clear()
            assert products() is not None
            assert packing() is not None

    with always_by_codes():
        yield build
    clear()


IN_PACKAGE = """
def {}(*given, **more):
    if fails():
        raise ValueError("unsupported capability")
    return called(*given, **more)
"""


def clear() -> None:
    products.cache_clear()
    packing.cache_clear()


@pytest.mark.parametrize("cutting", [nullcontext, cut_rows])
@pytest.mark.parametrize(("package", "function"), FUNCTIONS)
def test_what_fails_at_any_call_is_done_without(
    failing: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    package: str,
    function: str,
    cutting: Callable[[], AbstractContextManager[None]],
) -> None:
    left = math.inf

    def fails() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    caplog.set_level(logging.WARNING)
    for fine in count(0, sized(4, 1)):
        caplog.clear()
        left = math.inf
        failing(package, function, fails)
        left = fine
        with cutting():
            use()
        if left >= 0:
            break
        (said,) = caplog.messages
        assert f"for {package} fails: ValueError('unsupported capability')" in said
        assert (products, packing)[package == "numkong"]() is None
    assert fine > 0


@pytest.mark.parametrize(("package", "function"), FUNCTIONS)
def test_what_a_signals_handler_raises_meanwhile_is_no_failure(
    failing: Callable[..., None], package: str, function: str
) -> None:
    is_late = False

    def alarm() -> bool:
        if is_late:
            raise TimeoutError
        return False

    failing(package, function, alarm)
    is_late = True
    with pytest.raises(TimeoutError):
        use()
    is_late = False
    use()
    assert products() is not None
    assert packing() is not None


def use() -> None:
    """Write and search: all that calls these packages."""
    service = Service()
    service.create_index("docs", IndexConfig(DIMENSIONS))
    for start in (0, len(ROWS) // 2):
        rows = enumerate(ROWS[start : start + len(ROWS) // 2], start)
        service.upsert("docs", [Vector(str(n), row) for n, row in rows])
    for _ in range(2):
        many = service.query_many("docs", ROWS[:6], top_k=K)
        many += tuple(service.query("docs", vector=row, top_k=K) for row in ROWS[:2])
        for query, found in zip([*ROWS[:6], *ROWS[:2]], many, strict=True):
            slots, scores = scoring.nearest("cosine", ROWS, query, K)
            assert [match.id for match in found.matches] == [str(slot) for slot in slots]
            assert [match.score for match in found.matches] == scoring.shortest(scores)
    service.close()
