"""What runs by day and at night (see `tests.nightly`), and fixtures of tests of both stores."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.nightly import NIGHTLY, covering
from vectorize_core import VectorizeClient

# How long an example takes says how busy the machine is.
settings.register_profile(
    "day", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", settings.get_profile("day"), max_examples=1_000)
settings.load_profile("nightly" if NIGHTLY else "day")


def pytest_configure(config: pytest.Config) -> None:
    # Nothing is dropped while tests are collected.
    gc.disable()
    # SQLite waits for the disk tens of thousands of times. By day files are in memory instead,
    # where a killed process leaves the same; at night they are on the disk.
    memory = "/dev/shm"
    if not NIGHTLY and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30:
        tempfile.tempdir = memory
    config.addinivalue_line(
        "markers",
        "covering(strength): by day only so many of the cases that every combination of the values "
        "of so many parameters is among them; at night all cases",
    )
    config.addinivalue_line("markers", "benchmark: on tests of LangChain's that are not run here")
    config.addinivalue_line("markers", "vcr: on tests of LangChain's that are not run here")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as cores, since tests wait too; not very many, since each collects all."""
    cores = os.cpu_count() or 1
    return max(cores, min(2 * cores, 8))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if NIGHTLY:
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(3_600))
        return
    groups: defaultdict[tuple[str, int], list[pytest.Function]] = defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("covering")
        # A mark of a whole module is on tests without parameters, too.
        if mark is not None and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            groups[item.nodeid.partition("[")[0], mark.args[0]].append(item)
    left_out: set[pytest.Item] = set()
    for (_, strength), cases in groups.items():
        # Values need not be comparable, and each is one object in all of its cases.
        values = [{n: id(v) for n, v in case.callspec.params.items()} for case in cases]
        kept = covering(values, strength)
        left_out.update(case for at, case in enumerate(cases) if at not in kept)
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Spare the collector what frameworks and tests have made for good: a fifth of all work."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Let go of what a test has left, and spare the collector what stays after those of a file."""
    for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
        # One that each of many tests raises would keep the frames of all of them.
        if isinstance(value, BaseException):
            value.__traceback__ = value.__context__ = None
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in a background job that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        yield client


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no account and no token."""
    for name in ("ACCOUNT_ID", "API_TOKEN", "API_KEY", "EMAIL", "BASE_URL", "API_BASE_URL"):
        monkeypatch.delenv(f"CLOUDFLARE_{name}", raising=False)
    for name in ("CF_ACCOUNT_ID", "CF_VECTORIZE_API_TOKEN", "CF_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch
