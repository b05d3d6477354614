"""What a server is told when it starts."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vectorize_core import limits
from vectorize_core.behavior import Behavior


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server serves, and how; see docs/local-server.md for each switch.

    ``behavior`` holds the switches of the service itself. Those here are questions about the HTTP
    side that Cloudflare's pages leave open; the default is the likeliest answer. ``clock`` gives
    the time in seconds since the epoch, for delays and for the rate limit.
    """

    data: str | os.PathLike[str] = ":memory:"
    """``":memory:"`` or a directory."""
    behavior: Behavior = field(default_factory=Behavior)
    token: str | None = field(default=None, repr=False)
    """What every request has to carry."""
    lenient: bool = False
    """Whether NDJSON is taken under any content type, as some clients send it."""
    rate_limit: int | None = None
    """Requests in five minutes; then all are refused for five minutes."""
    rate_limit_status: Literal[400, 429] = 429
    """How a refusal for too many requests looks: 40041 was seen with 400, the API's own is 429."""
    faults: Sequence[Mapping[str, Any]] = ()
    """Rules as in `vectorize_core.local.server.injected_faults`."""
    create_status: Literal[200, 201] = 200
    """What creating an index answers: 200 by the specification, 201 by the documentation."""
    delete_result: Literal["null", "object"] = "null"
    """The result of deleting an index: wrangler's tests have null, the specification an object."""
    not_found_status: Literal[400, 404] = 404
    """The status of an index that never was; one client saw its code 3000 with another."""
    vector_and_id: Literal["error", "vector"] = "error"
    """Whether a query by a vector and an id at once is refused, or is one by the vector."""
    unparsable_default: Literal["error", "discard"] = "error"
    """The ``unparsable-behavior`` of a write that does not say."""
    discards: Literal["unparsable", "invalid"] = "unparsable"
    """Whether "discard" also drops vectors that can be read but break a rule, or only the others"""
    duplicate_ids: Literal["in-order", "reversed", "error"] = "in-order"
    """Of one id twice in a write: insert keeps the first and upsert the last, or the opposite."""
    binding_index: str | None = None
    """The index of Workers bindings that do not name one."""
    max_body: int = limits.MAX_UPLOAD_BYTES
    """In bytes."""
    body_timeout: float = 60.0
    """Seconds that a request's body may take to arrive."""
    clock: Callable[[], float] = time.time
