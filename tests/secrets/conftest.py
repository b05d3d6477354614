from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _environment(no_credentials: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        no_credentials.delenv(name, raising=False)
        no_credentials.delenv(name.lower(), raising=False)
