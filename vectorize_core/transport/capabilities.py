"""`Capabilities`: what is known of an executor before it is asked anything. Data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vectorize_core import limits
from vectorize_core.api import operations as ops
from vectorize_core.api.operations import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What flows and stores may ask of an executor: the 14 calls of Vectorize, more or fewer.

    ``operations``: the further ones that it carries out, such as `TextQuery`; ``lacking``: those
    of the 14 that it has not. ``free_requests``: they cost nothing, so that a call may take any
    number by default. ``late_metadata_indexes``: a metadata index can be made when there are
    vectors already. ``declared``: which metadata indexes there are is what somebody says, for a
    Worker's binding is behind it, which lists neither these nor ids.
    ``max_vectors_per_write``: of a request. ``rounds``: numbers pass through JavaScript, which
    changes integers beyond 2^53.
    """

    operations: frozenset[type[Op[Any]]] = frozenset()
    free_requests: bool = False
    lacking: frozenset[type[Op[Any]]] = frozenset()
    late_metadata_indexes: bool = True
    declared: bool = False
    max_vectors_per_write: int = limits.MAX_VECTORS_PER_WRITE
    rounds: bool = False


CLOUDFLARE: Final = Capabilities()
BINDING: Final = Capabilities(
    lacking=frozenset(
        {
            ops.CreateIndex,
            ops.ListIndexes,
            ops.DeleteIndex,
            ops.ListVectors,
            ops.CreateMetadataIndex,
            ops.DeleteMetadataIndex,
        }
    ),
    declared=True,
    max_vectors_per_write=limits.MAX_VECTORS_PER_WRITE_IN_WORKER,
    rounds=True,
)
"""Of a Worker's binding."""
GATEWAY: Final = Capabilities(
    declared=True,
    max_vectors_per_write=limits.MAX_VECTORS_PER_WRITE_IN_WORKER,
    rounds=True,
)
"""Of a server that answers from such a binding, as it turned out: its refusals tell the rest."""
