"""`Capabilities`: what is known of an executor before it is asked anything. Data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vectorize_core.api.operations import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What flows and stores may ask of an executor beyond the 14 calls of Vectorize.

    ``operations``: the further ones that it carries out, such as `TextQuery`. ``free_requests``:
    they cost nothing, so that a call may take any number by default. ``late_metadata_indexes``: a
    metadata index can be made when there are vectors already.
    """

    operations: frozenset[type[Op[Any]]] = frozenset()
    free_requests: bool = False
    late_metadata_indexes: bool = True


CLOUDFLARE: Final = Capabilities()
