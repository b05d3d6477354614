"""The settings of a server."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, Literal

from vectorize_core import limits, paths
from vectorize_core.behavior import Behavior
from vectorize_core.errors import ConfigurationError, InvalidInputError
from vectorize_core.kwargs import check_names
from vectorize_core.local.server.hosts import check_hosts
from vectorize_core.local.server.injected_faults import read_rules
from vectorize_core.secret import Secret, hidden, hide, is_sendable


def _hides_token(cls: "type[Settings]") -> "type[Settings]":
    """Let no frame show the token when the constructor raises, whatever name it was given by."""
    init: Callable[..., None] = cls.__init__
    known = [one.name for one in fields(cls)]

    @wraps(init)
    def hiding(self: "Settings", **given: Any) -> None:
        hide(given, {"token", *(given.keys() - known)})
        check_names("Settings()", given, known)
        init(self, **given)
        if "token" in given:
            token: Secret[str] | None = given["token"]
            object.__setattr__(self, "token", None if token is None else token.reveal())

    cls.__init__ = hiding  # type: ignore[method-assign]
    return cls


@_hides_token
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server serves, and how; docs/local-server.md explains each switch.

    ``behavior`` holds the switches of the service itself. The switches here stand for questions
    about HTTP that Cloudflare's pages leave open; each default is the likeliest answer. ``clock``
    gives the time in seconds since the epoch, for delays and for the rate limit.
    """

    data: str | os.PathLike[str] = ":memory:"
    """``":memory:"`` or a directory, which is made absolute."""
    behavior: Behavior = field(default_factory=Behavior)
    token: str | None = field(default=None, repr=False)
    """The token that every request must carry."""
    hosts: Collection[str] = ()
    """Names by which clients reach it, beside those of this machine, for a server without a token;
    with ``0.0.0.0`` any number is one."""
    lenient: bool = False
    """Whether NDJSON is taken under any content type, also in a form or as a JSON string."""
    rate_limit: int | None = None
    """Requests in five minutes; then all are refused for five minutes."""
    rate_limit_status: Literal[400, 429] = 429
    """The status of a refusal by the rate limit: 429, or 400 as was seen with the code 40041."""
    faults: Sequence[Mapping[str, Any]] = ()
    """Rules as in `vectorize_core.local.server.injected_faults`."""
    create_status: Literal[200, 201] = 200
    """What creating an index answers: 200 by the specification, 201 by the documentation."""
    delete_result: Literal["null", "object"] = "null"
    """The result of deleting an index: wrangler's tests have null, the specification an object."""
    not_found_status: Literal[400, 404] = 404
    """The status that goes with code 3000, of an index that never existed; 400 was seen too."""
    vector_and_id: Literal["error", "vector"] = "error"
    """Whether a query by both a vector and an id is refused, or is a query by the vector."""
    unparsable_default: Literal["error", "discard"] = "error"
    """The ``unparsable-behavior`` of a write that does not give one."""
    discards: Literal["unparsable", "invalid"] = "unparsable"
    """Whether "discard" drops only what cannot be read, or also vectors that break a rule."""
    duplicate_ids: Literal["in-order", "reversed", "error"] = "in-order"
    """Of two vectors with one id, insert keeps the first, upsert the last; or the reverse."""
    binding_index: str | None = None
    """The index of Workers bindings that do not name one."""
    bindings: Mapping[str, str] = field(default_factory=dict)
    """Names of Workers bindings, as Miniflare sends them, and their indexes."""
    max_body: int = limits.MAX_UPLOAD_BYTES
    """The largest request body, in bytes."""
    body_timeout: float = 60.0
    """Seconds that a request's body may take to arrive."""
    head_timeout: float = 10.0
    """Seconds that a request's head may take to arrive."""
    max_connections: int = 1_000
    """Open connections, at most 40 % of the files that the process may have open; those that do
    nothing make room for new ones."""
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        check_token(hidden(self.token))
        check_hosts(self.hosts)
        try:
            read_rules([*self.faults] if isinstance(self.faults, Sequence) else self.faults)
        except InvalidInputError as error:
            raise ConfigurationError(f"faults: {error}") from None
        object.__setattr__(self, "data", paths.absolute_or_memory(self.data, "data"))


def check_token(token: Secret[str] | None) -> None:
    """Refuse a token that would let nobody in, or everybody."""
    if token is not None and not is_sendable(token.reveal()):
        raise ConfigurationError(
            "token is a text of printable ASCII characters without spaces, and not empty, or "
            "no header could carry it; None lets everybody in"
        )
