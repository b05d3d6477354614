"""Paths with dots, such as ``author.name``: what a record has there, and what the service sees.

A metadata index on that path holds ``name`` inside the object ``author`` at the top level of a
vector. Where a record has its value elsewhere, in an object that JSON cannot say or under a key
that has the dot itself, an object is shown there that has what is indexed, and nothing more.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from vectorize_core import limits
from vectorize_core.api.validation import storable_key
from vectorize_core.errors import InvalidInputError
from vectorize_core.layout import value_codec
from vectorize_core.layout.names import DEFAULT_TEXT_KEY, EXTRA, METADATA_INDEXES
from vectorize_core.layout.nearest import UnstorableError

_SCALARS: Final = (str, int, float, bool)


def lookup(metadata: Mapping[str, Any], path: str) -> Any:
    """The property of that name, else the one that the dots lead to; None if it is missing."""
    if path in metadata or "." not in path:
        return metadata.get(path)
    value: Any = metadata
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def why_hidden(path: str, indexed: Collection[str] = (), text_key: str = DEFAULT_TEXT_KEY) -> str:
    """Why records cannot show the service what they have under ``path``; empty if they do.

    ``indexed`` are the properties with a metadata index.
    """
    first, *inner = names = path.split(".")
    if first.startswith(EXTRA):
        return (
            f"a property called {path!r} is stored inside _vs, where the service cannot look it "
            "up. Use a name that does not begin with _vs"
        )
    if first in (text_key, DEFAULT_TEXT_KEY):
        return (
            f"{first!r} is where the text of a record stands, and a property of that name is "
            "stored inside _vs, where the service cannot look it up. Use another name for it. "
            "Filters look at metadata: none finds a word in the text"
        )
    if not all(map(storable_key, names)):
        return (
            f"{path!r} names no property that Vectorize takes: a key, and each part of a path, "
            "must not be empty, start with '$' or contain '\"'"
        )
    if any(name in ("0", "*") or name.endswith("]") for name in inner):
        return (
            f"{path!r} asks for the items of a list, and no metadata index looks into lists. Keep "
            "a property for each item, such as {'tag_news': True}"
        )
    outer = within(path, indexed)
    if outer:
        return (
            f"{path!r} is inside {outer!r}, which has a metadata index, and a record shows the one "
            "value or what is inside it, never both. Keep the one metadata index or the other"
        )
    return ""


def within(path: str, indexed: Collection[str]) -> str:
    """The property of ``indexed`` that ``path`` leads into; empty if there is none."""
    names = path.split(".")
    return next((p for n in range(1, len(names)) if (p := ".".join(names[:n])) in indexed), "")


def to_show(
    metadata: Mapping[str, Any],
    stored: Mapping[str, Any],
    indexed: Collection[str],
    text_key: str,
) -> dict[str, dict[str, Any]]:
    """The objects that the top level lacks, by name, where a vector has ``stored`` there.

    With them, under each path of ``indexed`` that has a dot stands what ``metadata`` have there.
    """
    wanted: dict[str, Any] = {}
    lacking: set[str] = set()
    for path in indexed:
        if "." not in path or why_hidden(path, indexed, text_key):
            continue
        try:
            value = value_codec.split(lookup(metadata, path))[0]
        except (UnstorableError, RecursionError):
            continue
        if type(value) not in _SCALARS:
            continue
        name = path.partition(".")[0]
        there = lookup({name: stored.get(name)}, path)
        # Twice of a long text would be too large.
        shown = indexed_part(value) if isinstance(value, str) else value
        put(wanted, path, shown)
        if there not in (value, shown) or isinstance(there, bool) != isinstance(value, bool):
            lacking.add(name)
    return {name: wanted[name] for name in lacking}


def indexed_part(text: str) -> str:
    """As much of a text as a metadata index holds."""
    if len(text) <= limits.MAX_INDEXED_BYTES // 4:
        return text
    return text.encode()[: limits.MAX_INDEXED_BYTES].decode(errors="ignore")


def put(metadata: dict[str, Any], path: str, value: Any) -> None:
    """Set what is under a path; what it leads through is an object, or missing."""
    *outer, name = path.split(".")
    for one in outer:
        metadata = metadata.setdefault(one, {})
    metadata[name] = value


def check_indexable(wanted: Collection[str], text_key: str, present: Collection[str] = ()) -> None:
    """`InvalidInputError` for the first property of records that no metadata index can serve.

    ``present`` are indexed already.
    """
    every = {*wanted, *present}
    for path in sorted(every):
        problem = "" if path in METADATA_INDEXES else why_hidden(path, every, text_key)
        concerned = any(f"{path}.".startswith(f"{one}.") for one in wanted)
        if problem and concerned:
            raise InvalidInputError(f"no metadata index can be on {path!r}: {problem}")
