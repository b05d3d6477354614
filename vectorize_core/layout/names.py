"""The properties that a record of ours has in its vector beside the user's own."""

from collections.abc import Mapping
from typing import Final

from vectorize_core.models import IndexType

DEFAULT_TEXT_KEY: Final = "text"
EXTRA: Final = "_vs"
BUCKET: Final = "_vs_bucket"
OWN: Final = "_vs_own"
REF: Final = "_vs_ref"
METADATA_INDEXES: Final[Mapping[str, IndexType]] = {
    BUCKET: "number",
    OWN: "boolean",
    REF: "string",
}
"""What an index made for records has; three of the ten that Vectorize allows."""
LAST_INDEXED: Final = OWN
"""The metadata index that is created last: where it is live, all that are noted were."""
