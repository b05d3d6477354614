"""The warning of a search that finds nothing because writes are not processed yet."""

from __future__ import annotations

import time
import warnings

from vectorize_core.api.operations import GetInfo
from vectorize_core.errors import PendingWritesWarning, VectorizeError
from vectorize_core.stacklevel import outside
from vectorize_core.state.index_state import IndexState
from vectorize_core.transport.io import Io
from vectorize_core.wording import DEFAULT, Wording

_RECENT = 600.0
"""Seconds after which a write is not the reason that a search finds nothing."""
_MOST_WARNED = 1_000


async def warn_of_pending_writes(
    io: Io, state: IndexState, wording: Wording = DEFAULT, *, tenant: str | None = None
) -> None:
    """Warn if the index has not processed this client's last write; for a search without matches.

    It sends nothing if that write is known to be processed. It warns once until it is, and not if
    another client's mutation hides whether it is. Of a ``tenant``, neither writes of others nor
    warnings of those count.
    """
    known = state.own_writes
    pending = reversed(known.pending())
    last = next((w for w in pending if tenant is None or tenant in w.namespaces), None)
    if last is None and tenant is not None:
        return
    if last is None or known.is_processed(last):
        known.warned.discard(tenant)
        return
    age = time.monotonic() - last.since
    if age > _RECENT:
        return
    try:
        info = await io.once(GetInfo(state.name))
    except VectorizeError:
        return
    until = known.processed(info.processed_up_to_mutation)
    if known.is_processed(last):
        known.warned.discard(tenant)
    elif until < last.sent and tenant not in known.warned:
        if len(known.warned) >= _MOST_WARNED:
            known.warned.clear()
        known.warned.add(tenant)
        warnings.warn(
            f"nothing was found in index {state.name!r}, but this client's last write to it, "
            f"{age:.1f} s ago, is not processed yet (on Cloudflare usually within 30 s). To wait "
            f"until reads see it, write with wait='visible', or call {wording.wait} on the store "
            "(async: await_writes()) before searching",
            PendingWritesWarning,
            stacklevel=outside(),
        )
