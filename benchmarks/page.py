"""How fast the page is over a large index, in a Chromium.

``python -m benchmarks.page [--data DIR] [--vectors N]`` writes 1,000,000 vectors of 384 dimensions
to DIR, unless they are there, shows them by ``vectorize-stores open``, and measures in the browser
how long it is until something, and then all, is to be seen, how long a page of records and a map of
20,000 points take, and whether a task blocks the browser for 50 ms while the mouse moves over it.

Needs the extra ``page-tests`` and Debian's chromium, or another in VECTORIZE_CHROMIUM.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.tables import markdown
from benchmarks.vectors import Clustered
from vectorize_core import Vector, VectorizeClient

if TYPE_CHECKING:
    from playwright.sync_api import Page

INDEX, DIMENSIONS, BATCH = "million", 384, 20_000
POINTS, PAGES, MOVES = 20_000, 20, 300
FLAGS = ("--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run")
SUBJECTS = ("moon", "bread", "rivers", "clocks", "maps", "letters")
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
NEXT = """async () => {
    const first = () => document.querySelector(".records .row-link")?.textContent;
    const before = first(), begun = performance.now();
    [...document.querySelectorAll(".pager button")].at(-1).click();
    while (first() === before) await new Promise(requestAnimationFrame);
    return performance.now() - begun;
}"""
WATCH = """() => {
    window.tasks = [];
    new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(e => e.duration)))
        .observe({type: "longtask"});
}"""
Row = tuple[str, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="where the index is, or is made")
    parser.add_argument("--vectors", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = given.data or Path(scratch)
        write(folder, given.vectors)
        with opened(folder) as url:
            rows = measured(url, given.vectors)
    print(f"\n{given.vectors:,} vectors of {DIMENSIONS} dimensions, milliseconds\n")
    shown = [
        (name, f"{took:.0f}", f"{most:.0f}", "" if took <= most else "missed")
        for name, took, most in rows
    ]
    print(markdown(("", "took", "at most", ""), shown))
    sys.exit(any(took > most for _, took, most in rows))


def write(folder: Path, count: int) -> None:
    """The index, if it is not there."""
    with VectorizeClient.local(folder) as client:
        if any(index.name == INDEX for index in client.list_indexes()):
            return
        client.create_index(INDEX, dimensions=DIMENSIONS, metadata_indexes={"year": "number"})
        client.index(INDEX).upsert(vectors(count), wait="visible")


def vectors(count: int) -> Iterator[Vector]:
    number = 0
    for rows in Clustered(DIMENSIONS).batches(count, BATCH):
        for values in rows:
            subject = SUBJECTS[number % len(SUBJECTS)]
            text = f"Note {number} about {subject}, as long as a passage is. " * 4
            yield Vector(
                f"{subject}-{number:07}",
                values,
                metadata={"text": text, "subject": subject, "year": 1900 + number % 120},
            )
            number += 1


@contextmanager
def opened(folder: Path) -> Iterator[str]:
    """The address of a page over a directory."""
    command = [sys.executable, "-m", "vectorize_core.cli", "open", "--path", str(folder)]
    with subprocess.Popen(
        [*command, "--no-browser", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not said.rstrip().endswith("}"):
                said += process.stdout.readline()
            yield json.loads(said)["url"]
        finally:
            process.terminate()


def measured(url: str, count: int) -> list[Row]:
    """Each thing, how long it took, and how long it may take."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (an extra)

    executable = os.environ.get("VECTORIZE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS])
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.locator("tbody .number", has_text=f"{count:,}").first.wait_for()
        seen: float = page.evaluate("performance.now()")
        painted: float = page.evaluate(PAINTED)
        page.goto(f"{page.url}#/index/{INDEX}/records")
        page.locator(".records .row-link").first.wait_for()
        pages = [page.evaluate(NEXT) for _ in range(PAGES)]
        first, again = drawn(page, ""), drawn(page, "?color=subject")
        longest = hovered(page)
        browser.close()
    return [
        ("first paint", painted, 1_000),
        ("the index and its size to be seen", seen, 1_000),
        (f"a page of 50 records, median of {PAGES}", median(pages), 200),
        ("the slowest of them", max(pages), 200),
        (f"a map of {POINTS:,} points", first, 2_000),
        ("its points in the colours of a property", again, 2_000),
        (f"the longest task of {MOVES} moves over the map (0: none over 50)", longest, 50),
    ]


def drawn(page: Page, given: str) -> float:
    """Milliseconds until the map is drawn."""
    page.goto(f"{page.url.partition('#')[0]}#/index/{INDEX}/about")
    page.get_by_role("heading", name="Layout").wait_for()
    return float(
        page.evaluate(
            """async hash => {
                const begun = performance.now();
                location.hash = hash;
                while (!document.querySelector(".map-foot"))
                    await new Promise(requestAnimationFrame);
                return performance.now() - begun;
            }""",
            f"#/index/{INDEX}/map{given}",
        )
    )


def hovered(page: Page) -> float:
    """The longest task, in milliseconds, while the mouse moves over the map; 0 if none is long."""
    box: Any = page.locator(".map").bounding_box()
    page.wait_for_timeout(1_000)
    page.evaluate(WATCH)
    for number in range(MOVES):
        across, down = number * 37 % 997 / 997, number * 61 % 991 / 991
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
    page.wait_for_timeout(500)
    return float(max(page.evaluate("window.tasks"), default=0.0))


if __name__ == "__main__":
    main()
