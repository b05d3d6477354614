"""One browser for all of these tests, and a visitor that minds everything that goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.browser import chromium
from tests.page.browser.serving import Words, fill, serving
from tests.page.browser.window import Window
from vectorize_core import VectorizeClient

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
OPEN = ExitStack()
"""What is open for all tests, and closed after the last one."""
TOKEN = "a-token-of-the-page"
Visit = Callable[..., "Page"]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Close the browser after the last test: as long as it is open, no event loop can run here."""
    if nextitem is None or HERE not in nextitem.path.parents:
        OPEN.close()
        _opened.clear()


_opened: dict[str, Any] = {}


def once(name: str, make: Callable[[], Any]) -> Any:
    """What is made once for all tests."""
    if name not in _opened:
        _opened[name] = make()
    return _opened[name]


@pytest.fixture
def browser() -> Browser:
    executable = chromium.path()

    def launch() -> Any:
        from playwright.sync_api import sync_playwright

        playwright = OPEN.enter_context(sync_playwright())
        return OPEN.enter_context(
            playwright.chromium.launch(executable_path=executable, args=[*chromium.FLAGS])
        )

    found: Browser = once("browser", launch)
    return found


@pytest.fixture
def data(browser: Browser) -> VectorizeClient:
    """Indexes that no test changes."""

    def make() -> VectorizeClient:
        client = OPEN.enter_context(VectorizeClient.local())
        fill(client)
        return client

    found: VectorizeClient = once("data", make)
    return found


@pytest.fixture
def address(data: VectorizeClient) -> str:
    """The page over these."""
    from vectorize_core.page import create_page

    page = lambda: create_page(data, embedder=Words())  # noqa: E731
    found: str = once("address", lambda: OPEN.enter_context(serving(page())))
    return found


@pytest.fixture
def with_token(data: VectorizeClient) -> str:
    """The page over these, with a token."""
    from vectorize_core.page import create_page

    page = lambda: create_page(data, token=TOKEN)  # noqa: E731
    found: str = once("with_token", lambda: OPEN.enter_context(serving(page())))
    return found


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Goes to a view, and fails for all that a page must not do: see `Window`.

    All tests share one window, and so load the page once. Of an address ``at`` which is not
    everybody's, a test gets a window of its own.
    """
    context = once("context", lambda: OPEN.enter_context(browser.new_context()))
    windows: list[Window] = []

    def visit(
        view: str = "", *, at: str | None = None, width: int = 1280, night: bool = False
    ) -> Page:
        if at is None:
            base = request.getfixturevalue("address")
            windows.append(once("window", lambda: Window(context, base)))
        else:
            windows.append(Window(context, at))
        return windows[-1].show(view, width=width, night=night)

    yield visit
    shared = _opened.get("window")
    for window in windows:
        try:
            window.check()
        finally:
            if window is not shared:
                window.page.close()
