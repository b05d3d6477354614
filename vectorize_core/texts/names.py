"""What the texts of a record are called, and the list of those there are.

A text is never overwritten by another one: its name holds a digest of it, so a vector that names it
gets that text or none. Beside the texts of a record stands a list of their names, by which a delete
finds them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from vectorize_core import jsontext

Versions = dict[str, float]
"""The names of the texts of a record, each with the time it was last put, in seconds."""


def list_name(index: str, vector_id: str) -> str:
    """What the list of the texts of a record is called."""
    return f"vs-{_digest(f'{index}/{vector_id}')}"


def text_name(index: str, vector_id: str, text: str) -> str:
    """What a text of a record is called."""
    return f"{list_name(index, vector_id)}-{_digest(text)}"


def write_versions(versions: Mapping[str, float]) -> str:
    """The list of a record's texts, as a text."""
    return jsontext.dumps(versions).decode()


def read_versions(written: str | None) -> Versions:
    """The texts that a list names; none if there is no list."""
    versions: Versions = jsontext.loads(written) if written is not None else {}
    return versions


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
