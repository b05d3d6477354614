"""A window of the browser that minds everything that a page must not do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request

# What the browser says of refusals, which the page itself shows, and of a test that reads a canvas.
_EXPECTED: Final = re.compile(
    r"Failed to load resource: (the server responded with a status of 4\d\d|"
    r"net::ERR_INTERNET_DISCONNECTED)|Canvas2D: Multiple readback"
)


class Window:
    """One window on the page at ``base``; ``problems`` are what went wrong in it.

    It must run into no error, break no rule of its Content-Security-Policy, load nothing from
    elsewhere, open no dialog, and run nothing of what is stored.
    """

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.problems: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", self._asked)
        self.page.on("request", self._sent)

    def show(self, view: str, *, width: int, night: bool) -> Page:
        """Go to a view; without loading the page again, if it is open."""
        self.page.set_viewport_size({"width": width, "height": 900 if width > 500 else 740})
        scheme = "dark" if night else "light"
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if self.page.url.startswith(self.base):
            self.page.goto(f"{self.base}/#/")  # nothing of the view before is left
        self.page.goto(f"{self.base}/{view}")
        return self.page

    def check(self) -> None:
        """Fail if anything went wrong."""
        ran = self.page.evaluate("window.hit")
        problems, self.problems = self.problems, []
        if problems or ran:
            raise AssertionError(
                "\n".join([*problems, *(["a script that was stored ran"] * bool(ran))])
            )

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and not _EXPECTED.match(said.text):
            self.problems.append(said.text)

    def _asked(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _sent(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.problems.append(f"loads {request.url}")
