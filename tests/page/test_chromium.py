"""Without a Chromium the tests of the page are skipped, and where one is required, they fail."""

from __future__ import annotations

import pytest

from tests.page.browser import chromium


def test_without_a_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "FOUND", None)
    monkeypatch.delenv("VECTORIZE_REQUIRE_CHROMIUM", raising=False)
    with pytest.raises(pytest.skip.Exception, match="page's tests need"):
        chromium.path()
    monkeypatch.setenv("VECTORIZE_REQUIRE_CHROMIUM", "1")
    with pytest.raises(pytest.fail.Exception, match="page's tests need"):
        chromium.path()
