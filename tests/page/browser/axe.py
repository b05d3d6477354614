"""axe-core, run over what a window shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLOURS: Final = ("color-contrast",)
"""What differs by night; all else is the same page."""


def faults(page: Page, *rules: str) -> list[str]:
    """What axe-core finds that is serious or critical, and where; perhaps by some rules only."""
    import axe_playwright_python

    if page.evaluate("!window.axe"):
        axe = Path(axe_playwright_python.__file__).with_name("axe.min.js")
        page.evaluate(axe.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def faults_day_and_night(page: Page) -> list[str]:
    """The same by day, and of the colours by night."""
    found = faults(page)
    page.emulate_media(color_scheme="dark")
    return found + faults(page, *COLOURS)
