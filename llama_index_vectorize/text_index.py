"""The argument ``text_index=`` of a store, as `to_dict` writes it and as it is read again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vectorize_core.texts import D1TextIndex, SqliteTextIndex
from vectorize_core.texts.text_index import TextIndex


def dumped(given: TextIndex | bool | None) -> bool | dict[str, Any] | str | None:
    """``given`` as JSON; its ``repr``, which no store takes, if it is more than its settings."""
    if not isinstance(given, TextIndex):
        return given
    settings = given.settings if type(given) in (D1TextIndex, SqliteTextIndex) else None
    return settings if settings is not None else repr(given)


def loaded(given: Any) -> Any:
    """What was given, or the text index of what was dumped; a store checks what it is."""
    if isinstance(given, Mapping):
        for kind, name in ((D1TextIndex, "database_id"), (SqliteTextIndex, "path")):
            if name in given:
                return kind(**given)
    return given
