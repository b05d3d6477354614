"""Makes the pictures of the page in docs/pictures, of the demo's index.

    make demo
    python docs/tools/pictures.py

Needs `pip install '.[dev,page-tests]'` and Debian's chromium, or another in VECTORIZE_CHROMIUM.
"""

import io
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from vectorize_core import VectorizeClient  # noqa: E402
from vectorize_core.local.server import uvicorn_server  # noqa: E402
from vectorize_core.page import create_page, embedders  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
FLAGS = ("--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run")
INDEX = "#/index/state-of-the-union"
COLOURS = 255
"""Of a picture: text stays sharp, and a file is a third as large."""
WIDE, PHONE = (1280, 800), (360, 720)


def search(page: Page) -> None:
    """A search by text with a filter, and what that means."""
    page.locator(".matches li").first.wait_for()
    page.get_by_role("button", name="Explanation").click()


def record(page: Page) -> None:
    """A record beside the page that it was opened from."""
    page.locator(".neighbours li").first.wait_for()


def lit(page: Page) -> None:
    """A map with what was found on it."""
    page.locator(".map-foot").wait_for()
    page.get_by_label("Find on the map").fill("Who went to the moon?")
    page.get_by_label("Find on the map").press("Enter")
    page.locator(".hits li").first.wait_for()
    page.locator(".map").focus()
    page.keyboard.press("n")
    page.locator(".said.on").wait_for(state="hidden")


def wrong(page: Page) -> None:
    """A filter that is marked where it is wrong."""
    page.locator(".filter-error").wait_for()
    page.locator(".filter").scroll_into_view_if_needed()


VIEWS: dict[str, tuple[str, bool, tuple[int, int], Callable[[Page], None]]] = {
    "page-search": (
        "search?by=text&q=How+shall+we+help+the+unemployed?&k=10&filter={'year':+{'$lt':+1950}}",
        False,
        WIDE,
        search,
    ),
    "page-record": ("records?record=1961-kennedy-035", True, WIDE, record),
    "page-map": ("map?color=president", False, WIDE, lit),
    "page-filter": ("search?filter={'year':+{'$le':+1950}}", True, PHONE, wrong),
}


def main() -> None:
    """Make all of them."""
    data = ROOT / ".demo"
    if not data.is_dir():
        sys.exit("the demo's index is not there: make demo")
    executable = os.environ.get("VECTORIZE_CHROMIUM") or shutil.which("chromium")
    with (
        VectorizeClient.local(data) as client,
        uvicorn_server.listen("127.0.0.1", 0) as listener,
        sync_playwright() as playwright,
    ):
        page = create_page(client, embedder=embedders.load("demo"))
        server = uvicorn.Server(uvicorn.Config(page, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS])
        for name in VIEWS:
            take(browser, f"http://127.0.0.1:{listener.getsockname()[1]}/", name)
        browser.close()
        server.should_exit = True
        thread.join()


def take(browser: Browser, address: str, name: str) -> None:
    """Take one picture."""
    view, night, (width, height), prepare = VIEWS[name]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if night else "light"
    )
    page.goto(f"{address}{INDEX}/{view}")
    prepare(page)
    page.wait_for_timeout(500)
    taken = Image.open(io.BytesIO(page.screenshot()))
    few = taken.convert("RGB").quantize(COLOURS, kmeans=8, dither=Image.Dither.NONE)
    few.save(PICTURES / f"{name}.png", optimize=True)
    page.close()


if __name__ == "__main__":
    main()
