"""The browser of these tests: Debian's Chromium, or the one that VECTORIZE_CHROMIUM names."""

from __future__ import annotations

import os
import shutil
from typing import Final

import pytest

FOUND: Final = os.environ.get("VECTORIZE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
REBOUND: Final = "rebound.test"
"""A name that the browser is told is this machine, as DNS rebinding does."""
FLAGS: Final = (
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
)


def path() -> str:
    """The browser's file. Skips where there is none, or fails, where one is required."""
    lacking = "a Chromium: apt-get install chromium, or name one in VECTORIZE_CHROMIUM"
    try:
        import axe_playwright_python  # noqa: F401
        import playwright  # noqa: F401
    except ImportError:
        lacking = "playwright and axe: pip install '.[page-tests]'"
    else:
        if FOUND is not None:
            return FOUND
    if os.environ.get("VECTORIZE_REQUIRE_CHROMIUM"):
        pytest.fail(f"the page's tests need {lacking}")
    pytest.skip(f"the page's tests need {lacking}")
