"""What the frameworks make of a payload: where the text is in it, and where the metadata."""

from __future__ import annotations

from typing import Any, Final

from vectorize_core.layout import Record
from vectorize_core.moving.foreign.llama_nodes import CONTENT, of_metadata

TEXT_KEYS: Final = ("page_content", "document", "text")
"""Where a text is looked for unless a call says: LangChain's key, that of Qdrant's client, ours."""
_METADATA: Final = "metadata"
"""Where LangChain keeps metadata in a payload, beside a text."""


def of_payload(record_id: str, payload: dict[str, Any], text_key: str | None) -> Record:
    """The record of a payload: a node of LlamaIndex, or a text with metadata in or beside it."""
    if CONTENT in payload:
        return of_metadata(record_id, None, payload)
    keys = TEXT_KEYS if text_key is None else (text_key,)
    key = next((key for key in keys if isinstance(payload.get(key), str)), None)
    if key is None:
        return Record(record_id, None, payload)
    rest = {name: value for name, value in payload.items() if name != key}
    nested = rest.get(_METADATA)
    if key == TEXT_KEYS[0] and (nested is None or isinstance(nested, dict)):
        rest.pop(_METADATA, None)
        rest = {**(nested or {}), **rest}
    return Record(record_id, payload[key], rest)
