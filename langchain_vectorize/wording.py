"""What errors call things for users of LangChain."""

from __future__ import annotations

from typing import Final

from vectorize_core.wording import Wording

_NOT_METADATA: Final = (
    "{name!r} is in no metadata index, and {what} is not in its metadata: {instead}. To filter by "
    "a property of that name, give it a metadata index (docs/filters.md)"
)
WORDING: Final = Wording(
    index="store.index",
    maker="store",
    hash_ids="such as a hash of it: in index(), key_encoder='sha256'",
    elsewhere={
        name: _NOT_METADATA.format(name=name, what=what, instead=instead)
        for name, what, instead in (
            ("id", "a document's id", "get_by_ids() and delete() take ids"),
            ("namespace", "a document's namespace", "searches take namespace="),
            ("page_content", "a document's text", "no filter finds a word in it"),
        )
    },
)
