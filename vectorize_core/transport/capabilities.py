"""`Capabilities`: what is known of an executor before it is asked anything. Data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vectorize_core import limits
from vectorize_core.api import operations as ops
from vectorize_core.api.operations import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What flows and stores may ask of an executor: the 14 calls of Vectorize, more or fewer."""

    operations: frozenset[type[Op[Any]]] = frozenset()
    """The further operations that it carries out, such as `TextQuery`."""
    free_requests: bool = False
    """Requests cost nothing, so a call may take any number of them by default."""
    lacking: frozenset[type[Op[Any]]] = frozenset()
    """Those of the 14 calls that it has not."""
    late_metadata_indexes: bool = True
    """A metadata index can be made when there are vectors already."""
    declared: bool = False
    """Which metadata indexes there are is what somebody says: behind it is a Worker's binding,
    which lists neither these nor ids."""
    max_vectors_per_write: int = limits.MAX_VECTORS_PER_WRITE
    """How many a request may have."""
    rounds: bool = False
    """Numbers pass through JavaScript, which changes integers beyond 2^53."""


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
